"""Options whose choices come from a registry: checked, listed in the help, read when needed."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from sweeper.cli.options.registered import (
    Registered,
    downloadable_encoders,
    encoders,
    layouts,
    precisions,
)


def command(names):
    @click.command()
    @click.option("--kind", type=Registered(names, "auto"))
    def shown(kind):
        click.echo(kind)

    return shown


def test_a_name_of_the_registry_or_an_additional_one_is_taken():
    for name in ("auto", "a", "b"):
        result = CliRunner().invoke(command(lambda: ("a", "b")), ["--kind", name])
        assert result.output == f"{name}\n"


def test_another_name_is_refused_with_all_names():
    result = CliRunner().invoke(command(lambda: ("a", "b")), ["--kind", "c"])
    assert result.exit_code == 2
    assert "'c' is not one of 'auto', 'a', 'b'." in result.output


def test_the_help_lists_all_names():
    assert "[auto|a|b]" in CliRunner().invoke(command(lambda: ("a", "b")), ["--help"]).output


def test_the_registry_is_read_only_when_the_option_is_used():
    def broken():
        raise AssertionError("the registry was read")

    unused = command(broken)
    assert CliRunner().invoke(unused, []).exit_code == 0
    with pytest.raises(AssertionError, match="the registry was read"):
        CliRunner().invoke(unused, ["--kind", "a"], catch_exceptions=False)


def test_the_registries_are_those_of_the_packages():
    assert {"vit_tiny", "vit_b", "vit_l", "vit_h"} <= set(encoders())
    assert set(downloadable_encoders()) == {"vit_b", "vit_l", "vit_h"}
    assert set(precisions()) == {"float16", "float32", "int8"}
    assert {"desam", "saml", "maxstyle", "abdominal", "csv"} <= set(layouts())
