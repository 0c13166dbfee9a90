"""Configuration: the project's schema, the stack's file, and the form the program gets it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.engine.cli_config import _put, _typed
from scripts.engine.config import check_config, merge_config, runtime_config
from scripts.engine.errors import EngineError
from scripts.engine.passphrase import Crypter
from scripts.engine.project import Project, load_project, load_stack_file

SCHEMA = {
    "count": {"type": "integer", "default": 3},
    "on": {"type": "boolean", "default": True},
    "sites": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
    "sizes": {"type": "object", "default": {}},
    "needed": {"type": "string"},
    "short": "value",
}


def project(schema: dict[str, Any]) -> Project:
    return Project(root=Path("/p"), file=Path("/p/Pulumi.yaml"), name="shop", config=schema)


def test_defaults_fill_what_the_stack_leaves_out_and_structures_become_json() -> None:
    values = merge_config(project(SCHEMA), {"shop:count": 5}, None)
    texts = json.loads(runtime_config(values)[0])
    assert texts == {
        "shop:count": "5",
        "shop:on": "true",
        "shop:sites": '["a","b"]',
        "shop:sizes": "{}",
        "shop:short": "value",
    }


@pytest.mark.parametrize(
    ("key", "value", "type_"),
    [
        ("count", "x", "integer"),
        ("count", 1.5, "integer"),
        ("on", "yes", "boolean"),
        ("sites", "a", "array<string>"),
        ("sites", [1], "array<string>"),
        ("sizes", [1], "object"),
        ("needed", {"a": 1}, "string"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(key: str, value: Any, type_: str) -> None:
    values = merge_config(project(SCHEMA), {"shop:needed": "x", f"shop:{key}": value}, None)
    with pytest.raises(EngineError, match=f"configuration key '{key}' must be of type '{type_}'"):
        check_config(project(SCHEMA), "dev", values)


def test_missing_keys_are_named_together() -> None:
    schema = {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "string"}}
    with pytest.raises(EngineError, match="missing configuration values 'a', 'b' and 'c'"):
        check_config(project(schema), "dev", {})


def test_secrets_reach_the_program_and_are_hidden_otherwise() -> None:
    crypter = Crypter(b"k" * 32, "salt")
    stored = {"shop:token": {"secure": crypter.encrypt("t0p")}, "shop:deep": {"in": [{"secure": crypter.encrypt("x")}]}}
    values = merge_config(project({}), stored, crypter)
    texts, secrets = map(json.loads, runtime_config(values))
    assert texts == {"shop:token": "t0p", "shop:deep": '{"in":["x"]}'}
    assert sorted(secrets) == ["shop:deep", "shop:token"]
    assert [value.hidden for value in values.values()] == ['{"in":["[secret]"]}', "[secret]"]


def test_setting_a_value_keeps_the_files_comments(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text("# about this stack\nconfig:\n  shop:count: 3  # three\n  shop:sites: [a, b]\n")
    file = load_stack_file(load_project(tmp_path), "dev")
    _put(file.editable_config(), ("shop:word",), "yes")
    _put(file.editable_config(), ("shop:sizes", "lb", 0), 2)
    file.save()
    text = path.read_text()
    assert "# about this stack" in text
    assert "shop:count: 3  # three" in text
    assert 'shop:word: "yes"' in text  # YAML 1.1 readers would take a bare yes for true
    again = load_stack_file(load_project(tmp_path), "dev").config
    assert again["shop:sizes"] == {"lb": [2]}


def test_paths_type_their_values_as_the_cli_does() -> None:
    assert [_typed(text) for text in ("true", "7", "-7", "007", "1.5", "x")] == [True, 7, -7, "007", "1.5", "x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runtime: python\n", "missing a 'name'"),
        ("name: x\nruntime: nodejs\n", "Python programs only"),
        ("name: [\n", "could not read"),
    ],
)
def test_a_bad_project_file_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    with pytest.raises(EngineError, match=said):
        load_project(tmp_path)
