"""What ended a verb before its answer, as it is said to people and programs, with the exit code."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from ledger.units import Refused
from scripts.printing import Exit, Stopped
from scripts.sayings import languages, said

REFUSED_AT_THE_DOOR = {"personal_data_in_text", "not_found", "invalid_policy"}
"""What a rule of the ledger says no to, though the door finds it; all else there is usage."""


class Complaint(NamedTuple):
    """An error's sentence, its JSON, and the exit code."""

    text: str
    value: dict[str, Any]
    exit_code: Exit


def complaint(error: BaseException) -> Complaint | None:
    """What to say of an error; None where it is a bug of ours.

    The kinds are known by name, so that no verb imports what only another one needs.
    """
    for kind in type(error).__mro__:
        known = KINDS.get(f"{kind.__module__}.{kind.__qualname__}")
        heard = known(error) if known is not None else None
        if heard is not None:
            return heard
    return None


def _own(error: Stopped) -> Complaint:
    return _saying(error.code, error.exit_code, **error.params)


def _no(no: Any) -> Complaint:
    """A no of `ledger.refusals`, worded as HTTP words it: each field's sentence, if it has any."""
    from api.problems import code_of, problem, status_of

    lines: list[str] = []
    for language in languages():
        said_so = problem(no, language)
        lines += [_line(each) for each in said_so.get("errors", ())] or [said_so["detail"]]
    told: dict[str, Any] = problem(no, languages()[0])
    value: dict[str, Any] = {
        name: told[name] for name in ("code", "title", "detail", "errors") if name in told
    }
    codes = {code_of(no), *(each["code"] for each in told.get("errors", ()))} - {"invalid"}
    by_rule = codes <= REFUSED_AT_THE_DOOR or status_of(no) in (403, 404, 409)
    return Complaint("\n".join(lines), value, Exit.REFUSED if by_rule else Exit.USAGE)


def _line(error: dict[str, str]) -> str:
    """What is wrong with a field, or with the whole where no field is named."""
    return f"{error['pointer']}: {error['detail']}" if error["pointer"] else error["detail"]


def _saying(code: str, exit_code: Exit, /, **params: object) -> Complaint:
    text = said(code, **params)
    return Complaint(text, {"code": code, "detail": text.splitlines()[0]}, exit_code)


def _usage(error: click.UsageError) -> Complaint:
    """Click's complaints in the reader's language, with the way to the help page."""
    match error:
        case click.exceptions.NoSuchCommand():
            found = _saying("no_such_verb", Exit.USAGE, name=error.command_name)
        case click.NoSuchOption():
            found = _saying("no_such_option", Exit.USAGE, name=error.option_name)
        case click.BadOptionUsage():
            found = _saying("value_expected", Exit.USAGE, name=error.option_name)
        case click.MissingParameter():
            found = _saying("missing_parameter", Exit.USAGE, name=_name(error))
        case click.BadParameter():
            found = _bad_parameter(error)
        case _ if error.ctx is not None and isinstance(error.ctx.command, click.Group):
            found = _saying("missing_verb", Exit.USAGE, command=error.ctx.command_path)
        case _:
            found = _saying("bad_usage", Exit.USAGE, reason=error.format_message())
    if error.ctx is None:
        return found
    return found._replace(text=f"{error.ctx.get_usage()}\n{found.text}")


def _bad_parameter(error: click.BadParameter) -> Complaint:
    name = _name(error)
    match error.param.type if error.param is not None else None:
        case click.Choice(choices=choices):
            allowed = ", ".join(str(each) for each in choices)
            return _saying("not_one_of", Exit.USAGE, name=name, allowed=allowed)
        case click.types.IntParamType():
            return _saying("not_a_number", Exit.USAGE, name=name)
        case _:
            return _saying("bad_parameter", Exit.USAGE, name=name, reason=error.message)


def _name(error: click.BadParameter) -> str:
    if error.param is None:
        return str(error.param_hint or "")
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    return error.param.make_metavar(error.ctx) if error.ctx else str(error.param.name)


def _settings(error: Exception) -> Complaint:
    return _saying("bad_settings", Exit.USAGE, reason=error)


def _secrets(error: Exception) -> Complaint:
    return _saying("secrets_unusable", Exit.UNAVAILABLE, reason=error)


def _forked(error: Any) -> Complaint:
    return _saying("forked", Exit.WRONG, size=error.size)


def _other_signing_key(error: Exception) -> Complaint:
    return _saying("other_signing_key", Exit.UNAVAILABLE)


def _broken_proof(error: Exception) -> Complaint:
    return _saying("broken_proof", Exit.WRONG)


def _vault_key(error: Exception) -> Complaint:
    return _saying("wrong_vault_key", Exit.UNAVAILABLE)


def _busy(error: Exception) -> Complaint:
    return _no(Refused("busy"))._replace(exit_code=Exit.UNAVAILABLE)


def _database(error: Any) -> Complaint:
    reason = " ".join(str(error.orig or error).split())
    return _saying("database_away", Exit.UNAVAILABLE, reason=reason)


def _damaged(error: Any) -> Complaint | None:
    """A file that is damaged or no database; the error's other kinds are bugs of ours."""
    by_class = type(error).__name__ == "DatabaseError"
    return _database(error) if by_class else None


def _other_tables(error: Exception) -> Complaint:
    return _saying("doctor_faults", Exit.WRONG, faults=error)


def _no_backup(error: Exception) -> Complaint:
    return _saying("no_backup", Exit.USAGE, path=error)


def _newer_backup(error: Exception) -> Complaint:
    return _saying("backup_newer", Exit.UNAVAILABLE, what=error)


def _damaged_backup(error: Exception) -> Complaint:
    return _saying("backup_damaged", Exit.WRONG, what=error)


def _place_taken(error: Exception) -> Complaint:
    return _saying("place_taken", Exit.REFUSED, store=error)


def _no_right(error: Any) -> Complaint | None:
    """What the database's user may not do; all else that is wrong with a question is our bug."""
    by_class = type(error.orig).__name__ == "InsufficientPrivilege"
    return _database(error) if by_class else None


def _system(error: OSError) -> Complaint:
    reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return _saying("system_says", Exit.UNAVAILABLE, reason=reason)


def _full(error: Exception) -> Complaint:
    return _saying("system_says", Exit.UNAVAILABLE, reason=error)


def _no_vault(error: Exception) -> Complaint:
    return _saying("no_vault", Exit.UNAVAILABLE)


def _schema(error: Any) -> Complaint:
    there = {"found": error.found, "wanted": error.wanted}
    return _saying("other_schema", Exit.UNAVAILABLE, **there)


KINDS: dict[str, Callable[[Any], Complaint | None]] = {
    "scripts.printing.Stopped": _own,
    "click.exceptions.UsageError": _usage,
    "ledger.units.Refused": _no,
    "api.problems.Invalid": _no,
    "ledger.desk.Busy": _busy,
    "ledger.settings.BadSettings": _settings,
    "ledger.keys_file.KeysUnusable": _secrets,
    "projections.signing.Forked": _forked,
    "projections.signing.OtherSigningKey": _other_signing_key,
    "projections.proofs.Broken": _broken_proof,
    "ledger.vault.WrongVaultKey": _vault_key,
    "ledger.opening.OtherSchema": _schema,
    "ledger.opening.NoVault": _no_vault,
    "ledger.copied_rows.OtherTables": _other_tables,
    "ledger.backups.NotABackup": _no_backup,
    "ledger.backups.NewerBackup": _newer_backup,
    "ledger.backups.Damaged": _damaged_backup,
    "ledger.backups.PlaceTaken": _place_taken,
    "sqlalchemy.exc.OperationalError": _database,
    "sqlalchemy.exc.InterfaceError": _database,
    "sqlalchemy.exc.ProgrammingError": _no_right,
    "sqlalchemy.exc.DatabaseError": _damaged,
    "builtins.OSError": _system,
    "sqlite3.OperationalError": _full,  # of a file that is exported to
    "xlsxwriter.exceptions.FileCreateError": _full,
}
"""The name of an error's class -> what is said of it; the nearest of its classes counts."""
