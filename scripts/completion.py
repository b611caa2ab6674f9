"""`timebank completion`: what a shell reads to complete verbs and options."""

import click

from scripts.printing import Told, verb


@verb(click.argument("shell", type=click.Choice(["bash", "zsh", "fish"])))
def completion(shell: str) -> Told:
    """Print the script; `eval "$(timebank completion bash)"` takes it in."""
    from click.shell_completion import get_completion_class

    from scripts.cli import main

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  (click knows the three)
    source = kind(main, {}, "timebank", "_TIMEBANK_COMPLETE").source()
    return Told({"shell": shell, "script": source}, [source])
