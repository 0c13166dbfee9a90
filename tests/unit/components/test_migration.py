"""A new version's tables come from the live ones as its manifest says, or the release is refused with one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from components.data import Data
from components.manifest import ArtifactError, Manifest, parse_manifest
from components.migration import MigrationError, left_alone, mirror_config, plan
from components.tables import Table

HEAD = 'name = "s"\nversion = "4.0.0"\nstart = ["s"]\n[limits]\nmemory_mb = 64\nstart_seconds = 9\nstop_seconds = 9\n'
COLUMNS = {"id": "uuid", "name": "text", "description": "text", "quantity": "int", "tags": "set<text>"}
LIVE = Table("item", COLUMNS, ("id",))
CHANGED = {"id": "uuid", "name": "text", "summary": "text", "quantity": "bigint", "category": "text"}
MIGRATION = (
    'add = {category = {type = "text", default = "general"}}\nrename = {description = "summary"}\n'
    'drop = ["tags"]\nwiden = {quantity = "bigint"}\n'
)


def table_text(columns: dict[str, str], name: str = "item", key: str = '["id"]', static: str = "[]") -> str:
    inner = ", ".join(f'{column} = "{kind}"' for column, kind in columns.items())
    return f'[[tables]]\nname = "{name}"\nprimary_key = {key}\nstatic = {static}\ncolumns = {{{inner}}}\n'


def manifest(columns: dict[str, str], migration: str | None = None, **table: str) -> Manifest:
    added = "" if migration is None else f'[[migrations]]\ntable = "item"\n{migration}'
    return parse_manifest(HEAD + table_text(columns, **table) + added)


def planned(new: Manifest, *live: Table, names: dict[str, str] | None = None, **other: Any) -> Data | None:
    settings: dict[str, Any] = {"release_id": "r7-4.0.0-x", "number": 7, "keyspace": "evenkeel", **other}
    return plan(live or (LIVE,), names or {}, new, **settings)


def refused(new: Manifest, *live: Table) -> str:
    with pytest.raises(MigrationError) as caught:
        planned(new, *live)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_document_is_what_everybody_who_moves_data_works_by() -> None:
    data = planned(manifest(CHANGED, MIGRATION))
    assert data is not None
    assert data.as_dict() == {
        "keyspace": "evenkeel",
        "release": "r7-4.0.0-x",
        "number": 7,
        "mirror": "trigger",
        "names": {"item": "item_r7"},
        "previous_names": {"item": "item"},
        "tables": [
            {
                "name": "item",
                "source": "item",
                "target": "item_r7",
                "key": ["id"],
                "partition": ["id"],
                "source_columns": COLUMNS,
                "target_columns": CHANGED,
                "pairs": [
                    {"source": "name", "target": "name", "from": "text", "to": "text"},
                    {"source": "description", "target": "summary", "from": "text", "to": "text"},
                    {"source": "quantity", "target": "quantity", "from": "int", "to": "bigint"},
                ],
                "added": [{"target": "category", "type": "text", "default": "general"}],
                "dropped": ["tags"],
                "statics": [],
            }
        ],
        "created": [],
    }
    assert Data.from_dict(json.loads(json.dumps(data.as_dict()))) == data


def test_a_node_is_told_what_becomes_of_every_column_in_each_direction() -> None:
    data = planned(manifest(CHANGED, MIGRATION))
    assert data is not None
    forward = mirror_config(data.tables[0], "evenkeel", "forward")
    assert forward == {
        "keyspace": "evenkeel",
        "table": "item",
        "twin": "item_r7",
        "columns": [
            {"from": "name", "to": "name", "type": "text", "twin_type": "text"},
            {"from": "description", "to": "summary", "type": "text", "twin_type": "text"},
            {"from": "quantity", "to": "quantity", "type": "int", "twin_type": "bigint"},
        ],
        "defaults": [{"column": "category", "type": "text", "value": "general"}],
        "dropped": ["tags"],
    }
    reverse = mirror_config(data.tables[0], "evenkeel", "reverse")
    assert (reverse["table"], reverse["twin"], reverse["defaults"]) == ("item_r7", "item", [])
    assert reverse["columns"][1] == {"from": "summary", "to": "description", "type": "text", "twin_type": "text"}
    for config, columns in ((forward, COLUMNS), (reverse, CHANGED)):
        assert {*(each["from"] for each in config["columns"]), *config["dropped"], "id"} == set(columns)


def test_versions_with_the_same_tables_share_them() -> None:
    assert planned(manifest(COLUMNS)) is None
    same_said_otherwise = {**dict(reversed(COLUMNS.items())), "name": "varchar", "tags": "set< varchar >"}
    assert planned(manifest(same_said_otherwise)) is None


def test_a_migration_that_was_made_already_is_not_made_again() -> None:
    new = manifest(CHANGED, MIGRATION)
    assert planned(new, *new.tables, names={"item": "item_r7"}) is None


def test_the_next_change_begins_at_the_table_that_is_live() -> None:
    data = planned(manifest({**COLUMNS, "note": "text"}, 'add = {note = {type = "text"}}\n'), names={"item": "item_r3"})
    assert data is not None
    assert (data.previous_names, data.names) == ({"item": "item_r3"}, {"item": "item_r7"})
    assert data.tables[0].is_additive


def test_only_what_leaves_whole_files_as_they_are_is_additive() -> None:
    data = planned(manifest(CHANGED, MIGRATION))
    assert data is not None and not data.tables[0].is_additive
    default = 'add = {note = {type = "text", default = ""}}\n'
    data = planned(manifest({**COLUMNS, "note": "text"}, default))
    assert data is not None and not data.tables[0].is_additive


def test_a_table_that_is_new_is_made_empty_under_its_own_name() -> None:
    new = parse_manifest(HEAD + table_text(COLUMNS) + table_text({"name": "text"}, name="tag", key='["name"]'))
    data = planned(new)
    assert data is not None and not data.tables
    assert data.names == {"item": "item", "tag": "tag"}
    assert data.as_dict()["created"] == [
        {
            "name": "tag",
            "target": "tag",
            "key": ["name"],
            "partition": ["name"],
            "columns": {"name": "text"},
            "statics": [],
        }
    ]
    assert Data.from_dict(data.as_dict()) == data
    elsewhere = planned(new, taken=["tag"])
    assert elsewhere is not None and elsewhere.names["tag"] == "tag_r7"


def test_a_table_that_goes_is_left_alone() -> None:
    tag = Table("tag", {"name": "text"}, ("name",))
    assert planned(manifest(COLUMNS), LIVE, tag) is None
    assert left_alone([LIVE, tag], manifest(COLUMNS)) == ("tag",)


def test_a_version_without_a_migration_is_told_of_both_ways() -> None:
    sentence = refused(manifest(COLUMNS), Table("item", CHANGED, ("id",)))
    assert "description is new" in sentence
    assert "summary is gone" in sentence
    assert "quantity is int, not bigint" in sentence
    assert sentence.endswith("give it in [[migrations]], or go back with `evenkeel undo`")


def test_a_migration_that_begins_at_another_version_says_so() -> None:
    live = Table("item", {**CHANGED, "supplier": "text"}, ("id",))
    assert "release that one first" in refused(manifest(CHANGED, MIGRATION), live)


WITHOUT_TAGS = {name: kind for name, kind in COLUMNS.items() if name != "tags"}


@pytest.mark.parametrize(
    ("columns", "migration", "said"),
    [
        ({**COLUMNS, "note": "text"}, "", "item.note is new in 4.0.0, but its migration does not say where"),
        (WITHOUT_TAGS, "", "item.tags is not in 4.0.0, but its migration does not say what becomes of it"),
        (WITHOUT_TAGS, 'drop = ["label", "tags"]\n', "drops label, which the live table does not have"),
        ({**COLUMNS, "quantity": "smallint"}, "", "item.quantity would be narrowed from int to smallint"),
        ({**COLUMNS, "quantity": "text"}, "", "item.quantity would change from int to text, which is no known"),
        ({**COLUMNS, "quantity": "double"}, 'widen = {quantity = "double"}\n', "no known widening"),
        ({**COLUMNS, "quantity": "bigint"}, "", "item.quantity changes from int to bigint, but the migration does not"),
        (COLUMNS | {"n": "int"}, 'add = {n = {type = "int"}}\nwiden = {name = "text"}\n', "which it is already"),
        (COLUMNS | {"n": "int"}, 'add = {n = {type = "int"}, name = {type = "text"}}\n', "adds name, which the live"),
    ],
)  # fmt: skip
def test_tables_that_do_not_add_up_are_refused_by_the_column(
    columns: dict[str, str], migration: str, said: str
) -> None:
    assert said in refused(manifest(columns, migration))


def test_a_column_is_not_renamed_onto_another() -> None:
    new = manifest(
        {name: kind for name, kind in WITHOUT_TAGS.items() if name != "description"},
        'rename = {description = "name"}\n',
    )
    assert "renames description to name, but the live table has a column name already" in refused(
        new, Table("item", WITHOUT_TAGS, ("id",))
    )


@pytest.mark.parametrize("widening", [("int", "bigint"), ("float", "double"), ("ascii", "text"), ("timeuuid", "uuid")])
def test_a_type_may_grow_where_every_value_stays_what_it_is(widening: tuple[str, str]) -> None:
    old, new = widening
    live = Table("item", {"id": "uuid", "v": old}, ("id",))
    wanted = manifest({"id": "uuid", "v": new}, f'widen = {{v = "{new}"}}\n')
    data = planned(wanted, live)
    assert data is not None
    assert [(pair.source_type, pair.target_type) for pair in data.tables[0].pairs] == [widening]
    back = manifest({"id": "uuid", "v": old}, f'widen = {{v = "{old}"}}\n')
    assert "narrowed" in refused(back, *wanted.tables)


def test_a_renamed_column_can_be_widened_under_its_new_name() -> None:
    columns = {("count" if name == "quantity" else name): kind for name, kind in COLUMNS.items()} | {"count": "bigint"}
    data = planned(manifest(columns, 'rename = {quantity = "count"}\nwiden = {count = "bigint"}\n'))
    assert data is not None
    assert [pair.as_dict() for pair in data.tables[0].pairs if pair.source == "quantity"] == [
        {"source": "quantity", "target": "count", "from": "int", "to": "bigint"}
    ]


def test_a_key_does_not_change() -> None:
    assert "the primary key of item would change from (id uuid) to (id uuid, name text)" in refused(
        manifest(COLUMNS, "", key='["id", "name"]')
    )
    wider = Table("item", {"id": "timeuuid", "v": "int"}, ("id",))
    assert "primary key" in refused(manifest({"id": "uuid", "v": "int"}, 'widen = {id = "uuid"}\n'), wider)
    named = manifest({"key": "uuid", "v": "int"}, 'rename = {id = "key"}\n', key='["key"]')
    assert "primary key" in refused(named, Table("item", {"id": "uuid", "v": "int"}, ("id",)))


def test_a_column_of_the_key_is_not_dropped() -> None:
    live = Table("item", {"id": "uuid", "at": "int", "v": "int"}, ("id", "at"))
    assert "drops at, which is part of the primary key" in refused(
        manifest({"id": "uuid", "v": "int"}, 'drop = ["at"]'), live
    )


def test_a_counter_is_refused() -> None:
    live = Table("item", {"id": "uuid", "n": "counter"}, ("id",))
    assert "item.n is a counter" in refused(manifest({"id": "uuid", "n": "bigint"}, ""), live)


def test_a_list_needs_its_whole_files() -> None:
    columns = {"id": "uuid", "steps": "list<text>"}
    live = Table("item", columns, ("id",))
    additive = planned(manifest({**columns, "v": "int"}, 'add = {v = {type = "int"}}\n'), live)
    assert additive is not None
    with_default = manifest({**columns, "v": "int"}, 'add = {v = {type = "int", default = 1}}\n')
    assert "only an import of whole sstables carries over" in refused(with_default, live)
    frozen = {"id": "uuid", "steps": "frozen<list<text>>"}
    assert planned(
        manifest({**frozen, "v": "int"}, 'add = {v = {type = "int", default = 1}}\n'), Table("item", frozen, ("id",))
    )


def test_a_list_is_refused_where_a_scan_is_to_make_the_tables_level() -> None:
    columns = {"id": "uuid", "steps": "list<text>"}
    wanted = manifest({**columns, "v": "int"}, 'add = {v = {type = "int"}}\n')
    with pytest.raises(MigrationError, match=r"item\.steps is a list that is not frozen, whose elements no scan makes"):
        planned(wanted, Table("item", columns, ("id",)), mirror="scan")


def test_a_column_stays_static_or_regular() -> None:
    columns = {"id": "uuid", "at": "int", "v": "int"}
    live = Table("item", columns, ("id", "at"), ("v",))
    regular = manifest({**columns, "w": "int"}, 'add = {w = {type = "int"}}\n', key='["id", "at"]')
    assert "item.v would become regular" in refused(regular, live)
    kept = manifest({**columns, "w": "int"}, 'add = {w = {type = "int"}}\n', key='["id", "at"]', static='["v"]')
    data = planned(kept, live)
    assert data is not None
    assert data.tables[0].statics == ("v",)
    assert Table.from_dict(live.as_dict()) == live


def test_a_name_that_is_taken_or_too_long_is_refused() -> None:
    with pytest.raises(MigrationError, match="there is a table of that name"):
        planned(manifest(CHANGED, MIGRATION), taken=["item_r7"])
    new = manifest(CHANGED, MIGRATION)
    long = "t" * 46
    longer = replace(
        new, tables=(replace(new.tables[0], name=long),), migrations=(replace(new.migrations[0], table=long),)
    )
    assert "longer than the 48 letters" in refused(longer, replace(LIVE, name=long))


@pytest.mark.parametrize(
    ("migration", "named"),
    [
        ('add = {category = {type = "int"}}\n', "makes category int, but"),
        ('add = {category = {type = "text", default = 5}}\n', "gives category the default 5, which is no text"),
        ('add = {quantity = {type = "bigint", default = 9223372036854775808}}\n', "is no bigint"),
        ('add = {quantity = {type = "bigint", default = true}}\n', "is no bigint"),
        ('add = {labels = {type = "set<text>", default = ["a"]}}\n', "gives labels a default, but set<text> is no"),
        ('add = {at = {type = "timestamp", default = "now"}}\n', "which columns of type timestamp cannot have"),
        ('add = {colour = {type = "text"}}\n', "names colour, which the table item"),
        ('add = {category = "text"}\n', "add has category"),
        ('add = {category = {type = "text"}}\nrename = {old = "category"}\n', "names category, .* twice"),
        ('rename = {a = "summary", b = "summary"}\n', "names summary, .* twice"),
        ('rename = {a = "summary"}\ndrop = ["a"]\n', "names a, .* twice"),
        ('drop = ["a", "a"]\n', "names a, .* twice"),
        ('drop = ["category"]\n', "names category, but the table item in .* still has it"),
        ('rename = {a = "b"}\n', "has no column of the new name"),
        ('rename = {category = "summary"}\n', "still has the old name"),
        ('widen = {quantity = "varint"}\n', "makes quantity varint, but"),
        ("widen = {quantity = 5}\n", "widen has quantity"),
        ('drop = "tags"\n', "drop is 'tags'"),
        ('merge = ["tags"]\n', "merge is not a key"),
    ],
)  # fmt: skip
def test_what_a_manifest_can_be_wrong_about_by_itself_is_named_when_it_is_packed(migration: str, named: str) -> None:
    columns = CHANGED | {"labels": "set<text>", "at": "timestamp"}
    with pytest.raises(ArtifactError, match=r"^evenkeel.toml: migrations\[1\]\..*" + named):
        manifest(columns, migration)


def test_a_migration_is_of_a_table_that_there_is_and_there_is_one_for_each() -> None:
    for added, named in (
        ('[[migrations]]\ntable = "tag"\n', "none of"),
        ('[[migrations]]\ntable = "item"\n' * 2, "has a migration already"),
        ("[[migrations]]\n", "table is missing"),
    ):
        with pytest.raises(ArtifactError, match=named):
            parse_manifest(HEAD + table_text(COLUMNS) + added)


@pytest.mark.parametrize(
    ("kind", "default"), [("text", '"ü"'), ("ascii", '"a"'), ("tinyint", "-128"), ("varint", "1" + "0" * 18),
                          ("boolean", "false"), ("double", "1"), ("float", "0.5")],
)  # fmt: skip
def test_a_default_of_the_columns_type_is_taken(kind: str, default: str) -> None:
    new = manifest({**COLUMNS, "v": kind}, f'add = {{v = {{type = "{kind}", default = {default}}}}}\n')
    data = planned(new)
    assert data is not None
    (added,) = data.tables[0].added
    assert added.default is not None


@pytest.mark.parametrize(
    ("kind", "default"), [("ascii", '"ü"'), ("tinyint", "128"), ("boolean", "1"), ("float", "1e39"), ("double", "nan"),
                          ("int", "1.0")],
)  # fmt: skip
def test_a_default_of_another_type_is_not(kind: str, default: str) -> None:
    with pytest.raises(ArtifactError, match=f"which is no {kind}"):
        manifest({**COLUMNS, "v": kind}, f'add = {{v = {{type = "{kind}", default = {default}}}}}\n')


def test_statics_are_columns_outside_a_key_of_several() -> None:
    columns = {"id": "uuid", "at": "int", "v": "int"}
    for static, key in (('["at"]', '["id", "at"]'), ('["w"]', '["id", "at"]'), ('["v"]', '["id"]')):
        with pytest.raises(ArtifactError, match="static"):
            manifest(columns, static=static, key=key)
