"""What the checker finds in histories written by hand."""

import pytest

from tests.unit.checker.histories import Script, wrongs

ROW = {"name": "r-0", "quantity": 0}


def test_a_table_with_every_acknowledged_write_passes():
    script = Script().insert(**ROW).update(quantity=1).insert("k2", name="r-2").delete("k2")
    verdict = script.judge({"k1": {"name": "r-0", "quantity": 1}})
    assert verdict.passed, verdict.problems
    assert (verdict.keys, verdict.operations) == (2, {"insert": 2, "update": 1, "delete": 1})


def test_an_acknowledged_insert_that_is_not_there_is_lost_and_named():
    assert wrongs(Script().insert(**ROW).judge({})) == [("lost", "k1", None)]


def test_an_acknowledged_update_that_is_not_there_is_lost_and_named_with_its_operation():
    verdict = Script().insert(**ROW).update(quantity=1).judge({"k1": ROW})
    assert wrongs(verdict) == [("lost", "k1", "quantity")]
    assert verdict.problems[0].operation == 1


def test_a_deleted_row_that_is_there_is_resurrected():
    assert wrongs(Script().insert(**ROW).delete().judge({"k1": ROW})) == [("resurrected", "k1", None)]


def test_a_cell_that_was_cleared_and_is_there_is_resurrected():
    script = Script().insert(**ROW).update(quantity=None)
    assert wrongs(script.judge({"k1": ROW})) == [("resurrected", "k1", "quantity")]


def test_a_value_that_nobody_wrote_is_invented():
    assert wrongs(Script().insert(**ROW).judge({"k1": {**ROW, "quantity": 7}})) == [("invented", "k1", "quantity")]


def test_a_value_of_a_write_that_was_refused_is_invented():
    script = Script().insert(**ROW).update(quantity=1, outcome="failed")
    assert wrongs(script.judge({"k1": {**ROW, "quantity": 1}})) == [("invented", "k1", "quantity")]


def test_a_row_of_this_run_under_a_key_that_is_nobodys_is_invented():
    verdict = Script().insert(**ROW).judge({"k1": ROW, "k9": ROW})
    assert wrongs(verdict) == [("invented", "k9", None)]


def test_rows_of_others_are_no_matter():
    script = Script().insert(**ROW).update(quantity=1).delete()
    assert script.judge({"k9": {"name": "somebody's", "quantity": 3}}).passed


@pytest.mark.parametrize("found", [{"k1": ROW}, {"k1": {**ROW, "quantity": 1}}])
def test_an_update_of_which_nothing_is_known_may_be_there_or_not(found):
    script = Script().insert(**ROW).update(quantity=1, outcome="unknown", at=None)
    assert not wrongs(script.judge(found))


@pytest.mark.parametrize("found", [{"k1": ROW}, {}])
def test_a_delete_of_which_nothing_is_known_may_have_happened_or_not(found):
    assert not wrongs(Script().insert(**ROW).delete(outcome="unknown", at=None).judge(found))


def test_an_unknown_write_below_an_acknowledged_one_has_no_say():
    script = Script().insert(**ROW).update(quantity=1, outcome="unknown", at=150).update(quantity=2, at=200)
    assert wrongs(script.judge({"k1": {**ROW, "quantity": 1}})) == [("lost", "k1", "quantity")]


def test_an_unknown_write_whose_time_is_not_known_may_come_after_everything():
    script = Script().insert(**ROW).update(quantity=1, outcome="unknown", at=None).update(quantity=2)
    assert not wrongs(script.judge({"k1": {**ROW, "quantity": 1}}))


@pytest.mark.parametrize("found", [{}, {"k7": {"name": "r-0"}}])
def test_an_insert_whose_key_nobody_was_told_may_be_there_under_any_key_or_not(found):
    assert not wrongs(Script().insert(None, name="r-0", outcome="unknown", at=None).judge(found))


def test_an_insert_whose_key_nobody_was_told_is_not_there_twice():
    script = Script().insert(None, name="r-0", outcome="unknown", at=None)
    assert [wrong for wrong, *_ in wrongs(script.judge({"k7": {"name": "r-0"}, "k8": {"name": "r-0"}}))] == ["invented"]


def test_the_other_cells_of_an_insert_whose_key_nobody_was_told_must_be_its_own():
    script = Script().insert(None, name="r-0", quantity=5, outcome="unknown", at=None)
    assert wrongs(script.judge({"k7": {"name": "r-0", "quantity": 6}})) == [("invented", "k7", "quantity")]


def test_a_row_of_somebody_else_that_has_the_same_number_is_not_taken_for_it():
    script = Script().insert(None, name="r-0", quantity=5, outcome="unknown", at=None)
    assert not wrongs(script.judge({"k7": {"name": "other-5", "quantity": 5}, "k8": {"name": "r-0", "quantity": 5}}))


def test_of_shared_keys_the_highest_write_time_stands_in_whatever_order_clients_heard():
    script = Script().insert(**ROW, by=0).update(quantity=1, by=1, at=900).update(quantity=2, by=2, at=500)
    assert not wrongs(script.judge({"k1": {**ROW, "quantity": 1}}))
    assert wrongs(script.judge({"k1": {**ROW, "quantity": 2}})) == [("lost", "k1", "quantity")]


def test_a_clock_five_seconds_behind_loses_nothing_that_a_higher_write_time_does_not_cover():
    script = Script().insert(**ROW, at=10_000_000)
    script.update(quantity=1, by=1, at=25_000_000).update(name="r-2", by=2, at=20_000_000)
    assert not wrongs(script.judge({"k1": {"name": "r-2", "quantity": 1}}))
    # A copy that gave the row its highest write time would cover the name that was written late: found.
    assert wrongs(script.judge({"k1": {"name": "r-0", "quantity": 1}})) == [("lost", "k1", "name")]


def test_of_a_key_with_one_writer_the_last_acknowledged_operation_stands_without_write_times():
    script = Script().insert(**ROW, at=None).update(quantity=1, at=None).update(quantity=2, at=None)
    assert not wrongs(script.judge({"k1": {**ROW, "quantity": 2}}))
    assert wrongs(script.judge({"k1": {**ROW, "quantity": 1}})) == [("lost", "k1", "quantity")]


def test_write_times_that_go_back_under_one_writer_are_found():
    script = Script().insert(**ROW, at=500).update(quantity=1, at=400)
    assert wrongs(script.judge({"k1": ROW})) == [("lost", "k1", "quantity")]


def test_at_one_time_a_delete_beats_a_write():
    script = Script().insert(**ROW, by=1, at=100).delete(by=2, at=100)
    assert not wrongs(script.judge({}))
    assert wrongs(script.judge({"k1": ROW})) == [("resurrected", "k1", None)]


def test_an_update_that_overtook_a_delete_brings_no_row_back():
    assert not wrongs(Script().insert(**ROW, by=1).delete(by=1, at=200).update(quantity=1, by=2, at=300).judge({}))


def test_a_row_that_was_inserted_again_holds_what_was_written_since():
    script = Script().insert(**ROW).delete().insert(name="r-2")
    assert not wrongs(script.judge({"k1": {"name": "r-2"}}))
    assert wrongs(script.judge({"k1": {"name": "r-2", "quantity": 0}})) == [("resurrected", "k1", "quantity")]


def test_a_set_is_compared_without_order_and_an_empty_one_is_no_value():
    script = Script().insert(tags=["b", "a"]).insert("k2", tags=[])
    assert not wrongs(script.judge({"k1": {"tags": ["a", "b"]}, "k2": {"tags": None}}))


def test_both_tables_are_held_against_the_history():
    script = Script().insert(**ROW).update(quantity=1)
    verdict = script.judge({"k1": {**ROW, "quantity": 1}}, {"k1": ROW})
    assert [(problem.where, problem.column) for problem in verdict.problems] == [("table 1", "quantity")]


def test_a_write_of_which_nothing_is_known_is_in_both_tables_or_in_none():
    script = Script().insert(**ROW).update(quantity=1, outcome="unknown", at=None)
    done, undone = {"k1": {**ROW, "quantity": 1}}, {"k1": ROW}
    assert not wrongs(script.judge(done, done)) and not wrongs(script.judge(undone, undone))
    assert wrongs(script.judge(done, undone)) == [("divided", "k1", "quantity")]
    late = Script().insert(**ROW, outcome="unknown", at=None)
    assert wrongs(late.judge({"k1": ROW}, {})) == [("divided", "k1", None)]


def test_a_run_in_which_nothing_was_acknowledged_proves_nothing():
    verdict = Script().insert(**ROW).judge({"k1": ROW})
    assert not verdict.problems and not verdict.passed
    assert "no acknowledged update, no delete" in verdict.summary()
    assert not Script().insert(**ROW).judge().passed
