"""Other programs are told exactly what to copy, and are not used where they would not copy it as it is."""

import copy

import pytest

from scripts.database.request import Ring
from scripts.tables.errors import MisuseError, Refused
from scripts.tables.external import Engine, shown, steps
from scripts.tables.request import read_data
from tests.unit.tables.changes import DOCUMENT

RING = Ring(("10.0.0.1", "10.0.0.2"), "dc1", 'pass"word\\1')
SPARK = Engine("spark", "spark-submit", "spark://big:7077", "cdm.jar", whole_rows=True, rows_per_second=500)
DSBULK = Engine("dsbulk", "dsbulk")


def data(**table):
    document = copy.deepcopy(DOCUMENT)
    document["tables"][0].update(table)
    return read_data({"data": document})


def narrow(**table):
    """The change without a column that is widened."""
    return data(**{"pairs": plain_pairs(("a", "a")), **table})


def plain_pairs(*pairs):
    return [{"source": old, "target": new, "from": "text", "to": "text"} for old, new in pairs]


def settings(step):
    (content,) = step.files.values()
    return dict(line.split("=", 1) for line in content.splitlines())


def test_spark_is_given_the_job_the_master_and_its_settings():
    (step,) = steps(SPARK, RING, narrow(), "/x", {"item": 1_000_000})
    assert step.command[:5] == (
        "spark-submit", "--properties-file", "/x/cdm-item.properties", "--master", "spark://big:7077",
    )  # fmt: skip
    assert step.command[-3:] == ("--class", "com.datastax.cdm.job.Migrate", "cdm.jar")
    found = settings(step)
    assert found["spark.cdm.schema.origin.keyspaceTable"] == "evenkeel.item"
    assert found["spark.cdm.schema.target.keyspaceTable"] == "evenkeel.item_r7"
    assert found["spark.cdm.perfops.consistency.read"] == found["spark.cdm.perfops.consistency.write"] == "QUORUM"
    assert found["spark.cdm.perfops.ratelimit.target"] == "500"
    assert found["spark.cdm.perfops.numParts"] == "50"
    assert found["spark.cdm.feature.constantColumns.values"] == "'general'"


def test_spark_learns_of_renamed_columns():
    (step,) = steps(SPARK, RING, data(pairs=plain_pairs(("a", "b"), ("c", "c"))), "/x", {})
    assert settings(step)["spark.cdm.schema.origin.column.names.to.target"] == "a:b"


def test_a_password_is_in_a_file_only_and_written_as_the_program_reads_it():
    (step,) = steps(SPARK, RING, narrow(), "/x", {})
    assert settings(step)["spark.cdm.connect.origin.password"] == r'pass"word\\1'
    unload, _ = steps(DSBULK, RING, data(pairs=plain_pairs(("a", "a")), added=[]), "/x", {})
    (login,) = unload.files.values()
    assert 'advanced.auth-provider.password = "pass\\"word\\\\1"\n' in login
    assert 'advanced.auth-provider.class = "PlainTextAuthProvider"\n' in login
    for one in (step, unload):
        assert 'pass"word' not in shown(one.command)
        assert 'pass"word' not in repr(one)


def test_the_migrator_is_used_only_where_somebody_says_that_rows_are_written_whole():
    with pytest.raises(Refused, match="--whole-rows if every write of the service covers the whole row"):
        steps(Engine("spark", "spark-submit", jar="cdm.jar"), RING, data(), "/x", {})


def test_dsbulk_unloads_and_loads_with_times_and_lives():
    unload, load = steps(DSBULK, RING, data(pairs=plain_pairs(("a", "a")), added=[]), "/x", {})
    for step, verb, table in ((unload, "unload", "item"), (load, "load", "item_r7")):
        assert step.command[:2] == ("dsbulk", verb)
        words = " ".join(step.command)
        assert f"-t {table}" in words
        assert "-timestamp true -ttl true" in words
        assert "-cl QUORUM" in words
    assert "-m" not in unload.command + load.command, "with a mapping of one's own it takes no times and lives"
    assert "--schema.nullToUnset" in load.command


BEYOND = [
    ({"added": []}, "s is a collection"),
    ({"pairs": plain_pairs(("a", "a"))}, "it cannot write the default of category"),
    ({"pairs": plain_pairs(("a", "b")), "added": []}, "a is renamed, and it keeps write times for columns of the same"),
]


@pytest.mark.parametrize(("table", "words"), BEYOND, ids=[words for _, words in BEYOND])
def test_dsbulk_is_not_used_for_what_it_would_not_copy(table, words):
    with pytest.raises(Refused, match=words):
        steps(DSBULK, RING, data(**table), "/x", {})


def test_the_migrator_is_not_used_for_numbers_that_get_longer():
    with pytest.raises(Refused, match=r"does not copy item as it is: it makes no bigint of n's int$"):
        steps(SPARK, RING, data(), "/x", {})
    varint = [{"source": "n", "target": "n", "from": "int", "to": "varint"}]
    assert steps(SPARK, RING, data(pairs=varint), "/x", {})


def test_a_default_that_is_no_plain_value_is_refused():
    with pytest.raises(Refused, match="plain defaults only"):
        steps(SPARK, RING, narrow(added=[{"target": "t", "type": "set<text>", "default": ["x"]}]), "/x", {})


def test_an_engine_that_nobody_knows_is_a_mistake():
    with pytest.raises(MisuseError, match="spark, dsbulk"):
        steps(Engine("hadoop", "hadoop"), RING, data(), "/x", {})
    with pytest.raises(MisuseError, match="needs --jar"):
        steps(Engine("spark", "spark-submit", whole_rows=True), RING, data(), "/x", {})
