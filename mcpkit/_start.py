"""The garbage collector rests while the library is imported, and never looks at what was made by then.

Those objects stay until the process ends; looking through them again and again for garbage took a tenth of the time in
which a stdio server gives its first answer. What must never stand here: anything else.
"""

from __future__ import annotations

import gc

_WAS_ON = gc.isenabled()
gc.disable()


def over() -> None:
    """The import is over: the collector goes on, if it was on before."""
    gc.freeze()
    if _WAS_ON:
        gc.enable()
