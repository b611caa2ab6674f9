"""The table of verbs: what may follow `timebank`, and the file that each verb stands in.

A verb's file is read when the verb is typed, so that `timebank --help` is quick. What ends a verb
before its answer is said here, once, in the reader's language, with an exit code of `printing`.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scripts.complaints import complaint
from scripts.help_pages import Verbs
from scripts.printing import Exit, note, print_json
from scripts.sayings import explained, said


class Verb(NamedTuple):
    """Where a verb is written, and what it does in one line."""

    place: str  # module:function
    zh: str
    en: str


VERBS: dict[str, Verb] = {
    "init": Verb(
        "init:init",
        "创建账本、密钥文件和首个管理员密钥",
        "make the stores, a keys file, an admin key",
    ),
    "serve": Verb("serve:serve", "提供 HTTP 服务", "serve HTTP"),
    "work": Verb(
        "work:work", "承担后台工作：视图、作业、推送", "read on, run jobs, deliver: beside servers"
    ),
    "demo": Verb("demo:demo", "登记一个演示区并提供服务", "seed a living district and serve it"),
    "unit add": Verb("units:add", "登记单位", "put a unit into the tree"),
    "org add": Verb("organisations:add", "登记组织", "register an organisation"),
    "org suspend": Verb("organisations:suspend", "暂停组织登记", "stop an organisation's posting"),
    "org resume": Verb("organisations:resume", "恢复组织登记", "let an organisation post again"),
    "key create": Verb("api_keys:create", "创建密钥", "make an API key"),
    "key list": Verb("api_keys:list_all", "列出密钥", "list the API keys"),
    "key revoke": Verb("api_keys:revoke", "撤销密钥", "revoke an API key"),
    "key rotate": Verb("api_keys:rotate", "轮换密钥", "let a new key follow an API key"),
    "key rotate-signing": Verb(
        "api_keys:rotate_signing", "更换检查点签名密钥", "let another key sign checkpoints"
    ),
    "key rotate-vault": Verb(
        "vault_keys:rotate", "更换保险库密钥", "let another key open the vault"
    ),
    "member add": Verb("members:add", "登记成员", "register a member"),
    "member import": Verb("members:import_file", "从表格登记成员", "register members from a sheet"),
    "member data": Verb("members:data", "一名成员的全部信息", "all that is held about a member"),
    "member erase": Verb("members:erase", "删除个人信息", "forget who members are, for ever"),
    "hours import": Verb(
        "hours:import_file", "从表格登记服务记录", "post service records from a sheet"
    ),
    "period close": Verb("periods:close", "关账", "close a month that is over"),
    "period reopen": Verb("periods:reopen", "取消关账", "open a closed month again"),
    "policy list": Verb("policies:list_all", "列出政策版本", "list the versions published"),
    "policy show": Verb("policies:show", "显示某日的政策", "show what holds on a date"),
    "policy publish": Verb("policies:publish", "发布政策", "publish changes from a date on"),
    "policy packs": Verb("policies:packs", "列出政策包及其出处", "list the packs of changes"),
    "policy publish-pack": Verb(
        "policies:publish_pack", "发布政策包", "publish a pack from a date on"
    ),
    "statement issue": Verb("statements:issue", "出具服务记录证明", "issue a service statement"),
    "statement show": Verb("statements:show", "输出服务记录证明", "as JSON, PDF or credential"),
    "statement verify": Verb("statements:verify", "查验服务记录证明", "by number and code"),
    "statement revoke": Verb("statements:revoke", "撤销服务记录证明", "take a statement back"),
    "policy what-if": Verb(
        "policies:what_if", "试算另一组数值的影响", "replay a span under other numbers"
    ),
    "audit verify": Verb("audit:verify", "逐条核验账本", "recompute every leaf and sum"),
    "audit replay": Verb("audit:replay", "重放账本并与视图比较", "rebuild the views and compare"),
    "audit trail": Verb("audit:trail", "列出事件", "list events"),
    "audit trial-balance": Verb(
        "audit:trial_balance", "试算平衡", "every account's balance, and the sum"
    ),
    "audit diff": Verb("audit:diff", "两个时点之间账目的变化", "what changed between two points"),
    "audit sample": Verb(
        "audit:sample", "按种子抽取服务记录及其来龙去脉", "records drawn, with all that led to them"
    ),
    "audit reads": Verb("audit:reads", "审计员的查阅记录", "what auditors have looked at"),
    "log checkpoint": Verb("log:checkpoint", "签发并输出检查点", "sign and print a checkpoint"),
    "log prove": Verb("log:prove", "证明记录在日志中，或日志只增不改", "prove an entry, or growth"),
    "log cosign": Verb("log:cosign", "见证签名", "verify the log and cosign as a witness"),
    "log keys": Verb("log:keys", "检查点的公钥", "the public keys that sign checkpoints"),
    "export": Verb("export:export", "导出账目", "the books for other programs"),
    "jobs run": Verb("jobs:run", "运行到期作业", "do what is due as of an instant"),
    "audit account": Verb("audit:account", "一个账户的分录", "an account's lines"),
    "audit solvency": Verb(
        "audit:solvency", "偿付能力与账龄", "what the bank owes, and how old that is"
    ),
    "webhook list": Verb("webhooks:list_all", "列出推送地址", "where events are delivered to"),
    "webhook pause": Verb("webhooks:pause", "暂停推送", "deliver nothing until it is resumed"),
    "webhook resume": Verb("webhooks:resume", "恢复推送", "deliver from where it stands"),
    "webhook replay": Verb(
        "webhooks:replay", "从某一位置起重新推送", "deliver again what follows a position"
    ),
    "views status": Verb("views:status", "视图读到何处", "how far the views have read"),
    "views rebuild": Verb("views:rebuild", "重建视图", "build the views anew"),
    "db upgrade": Verb("db:upgrade", "升级数据库结构", "bring the schemas up to date"),
    "db check": Verb("db:check", "检查数据库或备份", "check schemas and files, or a backup"),
    "db backup": Verb("backups:backup", "在线备份", "copy the stores while they are in use"),
    "db restore": Verb("backups:restore", "从备份恢复", "make a ledger of a backup"),
    "config show": Verb("config:show", "显示设置及其来源", "every setting and its source"),
    "doctor": Verb("doctor:doctor", "检查运行环境", "look for what is wrong with this house"),
    "openapi": Verb("openapi:openapi", "输出 OpenAPI 文档", "print the OpenAPI document"),
    "bench": Verb("bench:bench", "测量性能", "measure, against a bare handler"),
    "completion": Verb(
        "completion:completion", "输出 shell 补全脚本", "print a shell's completion script"
    ),
}

GROUPS: dict[str, tuple[str, str]] = {
    "unit": ("单位：区、镇街、社区", "units: districts, streets, communities"),
    "org": ("组织", "organisations"),
    "key": ("API 密钥", "API keys"),
    "member": ("成员", "members"),
    "hours": ("服务记录", "service records"),
    "statement": ("服务记录证明", "service statements"),
    "policy": ("政策", "policies"),
    "period": ("关账月份", "closed months"),
    "audit": ("审计", "audit"),
    "log": ("透明日志", "the transparency log"),
    "jobs": ("作业", "jobs"),
    "webhook": ("事件推送", "webhooks"),
    "views": ("视图", "views"),
    "db": ("数据库", "the database"),
    "config": ("设置", "settings"),
}


class Later(click.Command):
    """A verb of the table; its file is read when it is typed."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, short_help=explained(verb.zh, verb.en), add_help_option=False)
        self._verb = verb

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the verb itself."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """The verb itself, with its parameters."""
        module, _, function = self._verb.place.partition(":")
        command: click.Command = getattr(importlib.import_module(f"scripts.{module}"), function)
        command.help = self.short_help
        return command


class Table(Verbs):
    """The verbs, and what is said when one of them ends before its answer."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the verb that the arguments name, and leave with its exit code."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            left = super().main(given, prog_name or "timebank", complete_var, False, **extra)
        except (click.Abort, KeyboardInterrupt):
            note(said("interrupted"))
            sys.exit(130)  # 128 and the number of SIGINT, as shells have it
        except click.exceptions.NoArgsIsHelpError as asked:
            note(asked.format_message())
            sys.exit(Exit.USAGE)
        except Exception as error:
            heard = complaint(error)
            if heard is not None:
                note(heard.text)
                if "--json" in given:
                    print_json({"error": heard.value})
                sys.exit(heard.exit_code)
            raise
        sys.exit(left or Exit.OK)


def _table() -> Table:
    top = Table(
        "timebank",
        help=explained("时间银行账本", "The ledger of a time bank"),
        params=[
            click.Option(
                ["--config"],
                type=click.Path(path_type=Path),
                help=explained("TOML 设置文件", "a TOML file of settings"),
            ),
            click.Option(["--database-url"], help=explained("数据库地址", "where the ledger lies")),
            click.Option(["--ledger"], help=explained("账本名称", "the ledger's name")),
            click.Option(
                ["--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_print_version,
                help=explained("显示版本", "print the version"),
            ),
        ],
        callback=_keep_flags,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
    )
    groups: Mapping[str, click.Group] = {
        name: Verbs(name, short_help=explained(zh, en), help=explained(zh, en))
        for name, (zh, en) in GROUPS.items()
    }
    for path, entry in VERBS.items():
        group, _, name = path.rpartition(" ")
        (groups[group] if group else top).add_command(Later(name, entry))
        if group:
            top.add_command(groups[group])
    return top


@click.pass_context
def _keep_flags(context: click.Context, /, **flags: Any) -> None:
    context.obj = flags


def _print_version(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(version("timebank"))
        except PackageNotFoundError:  # a checkout that was not installed
            import tomllib

            text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
            click.echo(tomllib.loads(text)["project"]["version"])
        context.exit()


main = _table()

if __name__ == "__main__":
    main()
