"""Settings: the stronger source wins, every value says where it came from, no secret is shown."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from ledger.keys_file import KeysUnusable, Secrets, load_secrets, make_keys_file
from ledger.settings import BadSettings, Settings, Shown, unread_environment

SECRET = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("TIMEBANK_")]:
        monkeypatch.delenv(name)


def test_nothing_given_is_a_ledger_on_sqlite_for_this_machine_alone() -> None:
    settings = Settings.load()
    assert settings.database_url == "sqlite:///timebank.db"
    assert settings.ledger == "main"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.keys_file == Path("timebank-keys.json")
    assert not settings.metrics_open
    assert {row.source for row in settings.shown()} == {"default"}


def test_a_flag_beats_the_environment_beats_dot_env_beats_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = [_port()]
    Path("timebank.toml").write_text("port = 4\n")
    seen.append(_port())
    Path(".env").write_text("TIMEBANK_PORT=3\n")
    seen.append(_port())
    monkeypatch.setenv("TIMEBANK_PORT", "2")
    seen.append(_port())
    seen.append(_port(port=1))
    seen.append(_port(port=None))  # a flag that was not given
    assert seen == [
        (8080, "default"),
        (4, "timebank.toml"),
        (3, ".env"),
        (2, "TIMEBANK_PORT"),
        (1, "flag"),
        (2, "TIMEBANK_PORT"),
    ]


def _port(**flags: object) -> tuple[object, str]:
    rows = Settings.load(**flags).shown()
    return next((row.value, row.source) for row in rows if row.name == "port")


def test_an_empty_variable_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEBANK_VAULT_KEY", "")
    assert Settings.load().vault_key is None


def test_the_file_can_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "etc" / "ledger.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text('ledger = "qingdao"\n')
    monkeypatch.setenv("TIMEBANK_CONFIG", str(elsewhere))
    settings = Settings.load()
    assert settings.ledger == "qingdao"
    assert Shown("ledger", "qingdao", str(elsewhere)) in settings.shown()


def test_a_file_that_was_named_and_is_not_there_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"there is no file nowhere\.toml"):
        Settings.load(config="nowhere.toml")


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused_by_name(content: bytes) -> None:
    Path("timebank.toml").write_bytes(content)
    with pytest.raises(BadSettings, match=r"timebank\.toml is not TOML"):
        Settings.load()


@pytest.mark.parametrize(
    ("file", "text", "source"),
    [("timebank.toml", "prot = 1\n", "timebank.toml"), (".env", "TIMEBANK_PROT=1\n", ".env")],
)
def test_a_setting_that_is_none_is_refused_with_its_source(
    file: str, text: str, source: str
) -> None:
    Path(file).write_text(text)
    with pytest.raises(BadSettings, match=rf"prot \({source}\): there is no such setting"):
        Settings.load()


def test_what_others_keep_in_dot_env_is_left_alone() -> None:
    Path(".env").write_text("POSTGRES_PASSWORD=x\nTIMEBANK_PORT=3\n")
    assert Settings.load().port == 3


def test_a_mistyped_variable_of_the_environment_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIMEBANK_DATABSE_URL", "x")
    monkeypatch.setenv("TIMEBANK_PORT", "1")
    assert unread_environment() == ["TIMEBANK_DATABSE_URL"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"ledger": "Main"}, "ledger"),
        ({"ledger": "1st"}, "ledger"),
        ({"ledger": "a" * 32}, "ledger"),
        ({"ledger": "main\n"}, "ledger"),
        ({"ledger": "a;drop"}, "ledger"),
        ({"port": 70_000}, "port"),
        ({"port": "http"}, "port"),
        ({"log_level": "loud"}, "log_level"),
        ({"database_url": "timebank.db"}, "database_url"),
        ({"database_url": "sqlite://"}, "database_url"),
        ({"database_url": "sqlite:///:memory:"}, "database_url"),
        ({"database_url": "mysql://h/db"}, "database_url"),
        ({"database_url": "mysql://h,i/db"}, "database_url"),
        ({"database_url": "postgresql://h:1,i:port/db"}, "database_url"),
        ({"database_url": "sqlite://h,i/db"}, "database_url"),
    ],
)
def test_a_malformed_setting_is_refused_by_name(flags: dict[str, object], named: str) -> None:
    with pytest.raises(BadSettings, match=rf"^{named} \(flag\): "):
        Settings.load(**flags)


def test_every_malformed_setting_is_named_not_only_the_first() -> None:
    with pytest.raises(BadSettings, match=r"ledger .*; port .*"):
        Settings.load(ledger="?", port=-1)


def test_no_secret_is_shown() -> None:
    settings = Settings.load(
        database_url="postgresql://bank:geheim@h/db?password=geheim",
        vault_key=SECRET,
        signing_key="geheim",
    )
    rows = {row.name: row.value for row in settings.shown()}
    assert rows["vault_key"] == rows["signing_key"] == "********"
    assert str(rows["database_url"]).startswith("postgresql://bank:***@h/db")
    everything = f"{settings.shown()} {settings!r} {settings}"
    assert "geheim" not in everything
    assert SECRET not in everything


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://h1:1,h2:2/db?target_session_attrs=read-write", ...),
        ("postgresql://h1,h2,[::1]:3", ...),
        ("postgresql://bank@h1,h2:2?target_session_attrs=read-write", ...),
        ("postgresql://bank:geheim@h1:1,h2:2/db", "postgresql://bank:***@h1:1,h2:2/db"),
        ("postgresql://h1,h2/db?password=geheim", "postgresql://h1,h2/db?password=%2A%2A%2A"),
        ("postgresql://h1/db?sslpassword=geheim", "postgresql://h1/db?sslpassword=%2A%2A%2A"),
        ("postgresql://bank:geh,eim@h1/db", "postgresql://bank:***@h1/db"),
    ],
)
def test_an_address_of_several_hosts_is_taken_and_shown_as_it_was_given(
    given: str, shown: object
) -> None:
    settings = Settings.load(database_url=given)
    assert settings.database_url == given
    rows = {row.name: row.value for row in settings.shown()}
    assert rows["database_url"] == (given if shown is ... else shown)


@pytest.mark.parametrize(
    "flags",
    [
        {"database_url": "postgresql://bank:geheim@h,h:port/db"},
        {"database_url": "postgres:://bank:geheim@h/db"},
        {"database_url": "mysql://bank:geheim@h/db"},
        {"database_url": "postgresql://bank:geheim@h:port/db"},
        {"vault_key": ["geheim"]},
    ],
)
def test_an_error_does_not_quote_what_it_refuses(flags: dict[str, object]) -> None:
    with pytest.raises(BadSettings) as refused:
        Settings.load(**flags)
    assert "geheim" not in str(refused.value)
    with pytest.raises(ValidationError) as refused_by_pydantic:
        Settings(**flags)  # type: ignore[arg-type]
    assert "geheim" not in str(refused_by_pydantic.value)


# --- tokens --------------------------------------------------------------------------------------

ISSUER = "https://id.example/realms/west"


def test_tokens_are_taken_where_an_issuer_is_set_and_never_by_a_shared_secret() -> None:
    assert Settings.load().oidc_issuer is None
    settings = Settings.load(oidc_issuer=ISSUER, oidc_audience="https://api.example")
    rows = {row.name: row.value for row in settings.shown()}
    assert (rows["oidc_issuer"], rows["oidc_algorithm"]) == (ISSUER, "RS256")
    assert rows["oidc_audience"] == "https://api.example"
    for algorithm in ("none", "HS256", "RS1", "rs256"):
        with pytest.raises(BadSettings, match="oidc_algorithm"):
            Settings.load(oidc_issuer=ISSUER, oidc_audience="a", oidc_algorithm=algorithm)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"oidc_issuer": ISSUER}, "oidc_audience"),
        ({"oidc_issuer": ISSUER, "oidc_audience": ""}, "oidc_audience"),
        ({"oidc_audience": "a"}, "oidc_issuer"),
        ({"oidc_jwks_url": ISSUER}, "oidc_issuer"),
        ({"oidc_jwks_file": "keys.json"}, "oidc_issuer"),
        (
            {
                "oidc_issuer": ISSUER,
                "oidc_audience": "a",
                "oidc_jwks_url": ISSUER,
                "oidc_jwks_file": "keys.json",
            },
            "oidc_jwks_file",
        ),
    ],
)
def test_what_tokens_need_is_asked_for_by_name(flags: dict[str, object], named: str) -> None:
    with pytest.raises(BadSettings, match=rf"^{named} "):
        Settings.load(**flags)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        (ISSUER, True),
        ("https://id.example:8443", True),
        ("http://127.0.0.1:9000/realms/west", True),
        ("http://localhost", True),
        ("http://[::1]:9000", True),
        ("http://id.example", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("ftp://id.example", False),
        ("file:///etc/passwd", False),
        ("id.example", False),
        ("https://", False),
        ("https://id.example:port", False),
        ("https://user:geheim@id.example", False),
        ("https://id.example/#there", False),
        ("https://id.example/a b", False),
    ],
)
def test_keys_of_an_issuer_come_over_tls_or_from_this_machine(url: str, taken: bool) -> None:
    for flags in ({"oidc_issuer": url}, {"oidc_issuer": ISSUER, "oidc_jwks_url": url}):
        if taken:
            assert Settings.load(oidc_audience="a", **flags)
        else:
            with pytest.raises(BadSettings, match=r"is no https:// address") as refused:
                Settings.load(oidc_audience="a", **flags)
            assert "geheim" not in str(refused.value)


# --- the keys file -------------------------------------------------------------------------------


def test_the_keys_file_is_made_once_for_its_owner_alone() -> None:
    settings = Settings.load()
    path = make_keys_file(settings)
    assert path == Path("timebank-keys.json")
    assert path.stat().st_mode & 0o777 == 0o600
    made = load_secrets(settings)
    assert len(made.signing_key) == len(made.vault_key) == 32
    assert made.signing_key != made.vault_key
    with pytest.raises(FileExistsError):
        make_keys_file(settings)
    assert load_secrets(settings) == made
    assert [left.name for left in Path().iterdir()] == ["timebank-keys.json"]


def test_the_environment_goes_before_the_keys_file(monkeypatch: pytest.MonkeyPatch) -> None:
    make_keys_file(Settings.load())
    from_file = load_secrets(Settings.load())
    monkeypatch.setenv("TIMEBANK_VAULT_KEY", SECRET)
    assert load_secrets(Settings.load()) == Secrets(from_file.signing_key, bytes(range(32)))


def test_a_ledger_whose_environment_gives_both_secrets_needs_no_file() -> None:
    settings = Settings.load(signing_key=SECRET, vault_key=SECRET)
    assert make_keys_file(settings) is None
    assert load_secrets(settings) == Secrets(bytes(range(32)), bytes(range(32)))
    assert not list(Path().iterdir())


def test_a_keys_file_holds_only_what_the_environment_does_not_give() -> None:
    make_keys_file(Settings.load(vault_key=SECRET))
    with pytest.raises(KeysUnusable, match=r"has no vault_key"):
        load_secrets(Settings.load())


def test_a_missing_keys_file_says_what_makes_one() -> None:
    with pytest.raises(KeysUnusable, match=r"no keys file .*`timebank init` makes one"):
        load_secrets(Settings.load())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_keys_file_that_others_can_read_is_refused(mode: int) -> None:
    path = make_keys_file(Settings.load())
    assert path is not None
    path.chmod(mode)
    with pytest.raises(KeysUnusable, match=rf"mode {mode:o}.*chmod 600"):
        load_secrets(Settings.load())


def _array(secret: str) -> str:
    return f'["{secret}"]'


def _short(secret: str) -> str:
    return f'{{"signing_key": "{secret[:8]}", "vault_key": "{secret}"}}'


def _unlike_base64(secret: str) -> str:
    return f'{{"signing_key": "{secret[:-1]}!", "vault_key": "{secret}"}}'


def _number(secret: str) -> str:
    return f'{{"signing_key": 7, "vault_key": "{secret}"}}'


def _cut_off(secret: str) -> str:
    return f'{{"signing_key": "{secret}'


@pytest.mark.parametrize("write", [_array, _short, _unlike_base64, _number, _cut_off])
def test_a_broken_keys_file_is_refused_without_quoting_it(write: Callable[[str], str]) -> None:
    path = Path("timebank-keys.json")
    path.touch(mode=0o600)
    path.write_text(write(SECRET))
    with pytest.raises(KeysUnusable, match=r"timebank-keys\.json") as refused:
        load_secrets(Settings.load())
    assert SECRET[:8] not in str(refused.value)


def test_a_broken_secret_in_the_environment_is_named_and_not_quoted() -> None:
    with pytest.raises(KeysUnusable, match=r"^TIMEBANK_VAULT_KEY is not 32 bytes in base64$"):
        load_secrets(Settings.load(vault_key="geheim", signing_key=SECRET))


def test_secrets_do_not_print() -> None:
    assert "\\x" not in repr(Secrets(bytes(range(32)), bytes(range(32))))


# --- a keys file that the system's manager hands over --------------------------------------------


def handed_over(folder: Path, mode: int) -> Settings:
    """As LoadCredential= puts it down: in a folder of the service's own, with such a mode."""
    made = Settings.load(keys_file=folder / "keys")
    make_keys_file(made)
    made.keys_file.chmod(mode)
    return made


def test_a_credential_of_the_manager_may_have_the_groups_bit(tmp_path, monkeypatch):
    """systemd 254 and later let the service's user in by an ACL, which shows as mode 440."""
    given = handed_over(tmp_path, 0o440)
    with pytest.raises(KeysUnusable, match="open to others"):
        load_secrets(given)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert len(load_secrets(given).vault_key) == 32
    given.keys_file.chmod(0o444)
    with pytest.raises(KeysUnusable, match="open to others"):
        load_secrets(given)


def test_beside_the_managers_credentials_a_file_is_as_any_other(tmp_path, monkeypatch):
    given = handed_over(tmp_path, 0o440)
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    with pytest.raises(KeysUnusable, match="open to others"):
        load_secrets(given)
