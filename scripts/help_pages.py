"""The help pages, with their headings in the reader's language."""

from typing import Any

import click

from scripts.sayings import explained

HEADINGS = {"Usage: ": "用法：", "Options": "选项", "Commands": "命令"}


class Page(click.HelpFormatter):
    """A help page; click's own headings are English."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        prefix = "Usage: " if prefix is None else prefix
        super().write_usage(prog, args, explained(HEADINGS.get(prefix, prefix), prefix))

    def write_heading(self, heading: str) -> None:
        super().write_heading(explained(HEADINGS.get(heading, heading), heading))


class Here(click.Context):
    """Where a verb runs: what was typed before it, and how its help page is written."""

    formatter_class = Page

    def __init__(self, command: click.Command, parent: click.Context | None = None, **named: Any):
        super().__init__(command, parent, **{"max_content_width": 100, **named})


class Verb(click.Command):
    """A verb whose help page is ours."""

    context_class = Here

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _in_our_words(super().get_help_option(ctx))


class Verbs(click.Group):
    """A group of verbs whose help page is ours."""

    context_class = Here

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _in_our_words(super().get_help_option(ctx))


def _in_our_words(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.help = explained("显示本页", "show this page")
    return option
