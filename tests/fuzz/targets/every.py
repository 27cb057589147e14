"""Every fuzz target by its name. What must never stand here: a target of its own."""

from __future__ import annotations

from tests.fuzz.targets import application, callers, framing, messages, protocol, strangers

TARGETS = {
    target.name: target
    for seam in (messages, framing, protocol, callers, strangers, application)
    for target in seam.TARGETS
}
