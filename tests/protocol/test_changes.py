"""The feed of change notices."""

from __future__ import annotations

from mcpkit.protocol.changes import MOST_WAITING, RESOURCE_UPDATED, TOOLS_CHANGED, LocalChanges, Notice
from tests.exchanges import Remembered


def test_every_listener_hears_every_notice_in_order() -> None:
    """SUB-11: what changes reaches all who listen."""
    feed, heard = LocalChanges(), []
    feed.subscribe(lambda notice: heard.append(("first", notice.method)))
    feed.subscribe(lambda notice: heard.append(("second", notice.method)))
    feed.publish(Notice(TOOLS_CHANGED))
    assert heard == [("first", TOOLS_CHANGED), ("second", TOOLS_CHANGED)]


def test_an_ended_subscription_hears_nothing_and_may_be_ended_again() -> None:
    feed, heard = LocalChanges(), []
    end = feed.subscribe(heard.append)
    end()
    end()
    feed.publish(Notice(TOOLS_CHANGED))
    assert heard == []


def test_a_listener_may_leave_while_it_is_told() -> None:
    feed, heard = LocalChanges(), []
    ends = []

    def once(notice: Notice) -> None:
        heard.append(notice)
        ends[0]()

    ends.append(feed.subscribe(once))
    feed.publish(Notice(TOOLS_CHANGED))
    feed.publish(Notice(TOOLS_CHANGED))
    assert len(heard) == 1


def test_notices_of_one_method_and_key_are_equal_whatever_their_params() -> None:
    assert Notice.updated("a://b") == Notice(RESOURCE_UPDATED, "a://b", {"uri": "other"})
    assert Notice.updated("a://b") != Notice.updated("a://c")
    assert Notice.updated("a://b").params == {"uri": "a://b"}


def test_a_session_is_told_of_lists_and_of_the_resources_it_watches() -> None:
    """LSUB-01, TKS-01: watching a task's id as if it were a URI tells nothing of the task."""
    session = Remembered()
    assert Notice(TOOLS_CHANGED).concerns(session)
    session.subscriptions |= {"a://b", "task-1"}
    assert Notice.updated("a://b").concerns(session)
    assert not Notice.updated("a://c").concerns(session)
    assert not Notice("notifications/tasks", "task-1").concerns(session)


def test_a_session_is_told_what_is_logged_at_its_level_and_above() -> None:
    """LOG-02, LOG-06: one that set no level hears info."""
    session = Remembered()
    debug, info, error = (Notice.logged({"level": level, "data": 1}) for level in ("debug", "info", "error"))
    assert [notice.concerns(session) for notice in (debug, info, error)] == [False, True, True]
    session.log_level = "error"
    assert [notice.concerns(session) for notice in (debug, info, error)] == [False, False, True]


def test_a_session_is_told_of_the_pages_that_its_own_user_was_sent_to() -> None:
    """ELIC-22: of no others, and not because it watches a resource of that name."""
    session = Remembered()
    session.subscriptions |= {"page-1"}
    assert not Notice.elicited("page-1").concerns(session)
    session.elicitations = ("page-1",)
    assert Notice.elicited("page-1").concerns(session)
    assert Notice.elicited("page-1").params == {"elicitationId": "page-1"}


def test_what_is_logged_twice_is_said_twice_and_gives_way_where_much_waits() -> None:
    """LOG-05, LOG-06: a flood of messages never takes the place of a change."""
    waiting: dict[Notice, None] = {}
    for _ in range(MOST_WAITING + 1):
        Notice.logged({"level": "info", "data": "again"}).wait(waiting)
    for notice in (Notice(TOOLS_CHANGED), Notice.updated("a://b"), Notice(TOOLS_CHANGED)):
        notice.wait(waiting)
    assert len(waiting) == MOST_WAITING + 2
    assert list(waiting)[-2:] == [Notice.updated("a://b"), Notice(TOOLS_CHANGED)]
