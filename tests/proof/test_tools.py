"""What a machine lacks is skipped there, and fails in CI."""

import pytest

from tests.proof.tools import needed


def test_a_tool_that_is_missing_skips_on_a_machine_and_fails_in_ci(monkeypatch):
    needed(True, "go")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="lacks go"):
        needed(None, "go")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="lacks go"):
        needed(None, "go")
