"""The mirror's place in the graph: every database node has its program, and its mappings, before Cassandra starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.mirror import sources
from tests.program.test_graph import Graph, run_program


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    from tests.conftest import write_artifact

    project = tmp_path_factory.mktemp("project")
    write_artifact(project / "artifacts", "1.0.0")
    return run_program(project)


def test_the_jar_is_built_once_and_again_only_when_its_sources_change(graph: Graph) -> None:
    assert graph.named("mirror-jar") == ["mirror-jar"]
    assert graph.commands["mirror-jar"]["triggers"] == [sources()]
    assert graph.commands["mirror-jar"]["create"].endswith("scripts.mirror build")


@pytest.mark.parametrize("site", ["a", "b", "c", "d"])
def test_a_node_has_program_and_mappings_before_it_serves(graph: Graph, site: str) -> None:
    assert graph.before("mirror-jar", f"db-{site}-mirror")
    assert graph.before(f"db-{site}-mirror", f"db-{site}-pairs")
    assert graph.before(f"db-{site}-pairs", f"db-{site}-node")


def test_a_machine_made_anew_gets_both_again(graph: Graph) -> None:
    host = graph.commands["db-b-pairs"]["triggers"][0]
    assert graph.commands["db-b-mirror"]["triggers"] == [host, "5a" * 32]
    told = json.loads(graph.commands["db-b-mirror"]["stdin"])
    assert (told["host"]["name"], told["keyspace"], told["jar"]) == ("db-b", "evenkeel", "UEs=")


def test_no_database_component_names_this_machine(graph: Graph, project: Path) -> None:
    assert str(project) not in json.dumps({name: graph.commands[name] for name in graph.named("db-.-(mirror|pairs)")})
