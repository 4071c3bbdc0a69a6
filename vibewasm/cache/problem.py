"""Why the cache's folder is not used, in words, and whether it may be made where it is not there."""

from __future__ import annotations

import os

from .contents import MOST_FILES, MOST_NAMES, Contents
from .folder import Folder


def problem(place: Folder) -> str | None:
    """What :meth:`.Folder.problem` says."""
    try:
        folder = place.opened()
    except FileNotFoundError:
        return unmakeable(place.path)
    except NotADirectoryError:
        return "it is a symbolic link" if os.path.islink(place.path) else "it is no folder, or one above it is none"
    except OSError as error:
        return error.strerror
    try:
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
            return "it is read-only: what is in it is used, and nothing is added"
        if not Contents(folder, 2 * MOST_FILES, MOST_NAMES).complete:
            return (
                f"more than {MOST_NAMES} files are in it, or more than {2 * MOST_FILES} of the cache: nothing is added"
            )
    except OSError as error:
        return error.strerror
    finally:
        os.close(folder)
    return None


def unmakeable(path: str) -> str | None:
    """Why a folder that is not there will not be made, as a part of a sentence; ``None`` if it can be."""
    if path[:1] != "/":
        return "its path is relative to a working directory that is gone" if path else "its path is empty"
    above = path
    while True:
        above = os.path.dirname(above)
        try:
            owner = os.stat(above).st_uid
            break
        except FileNotFoundError:
            continue  # it will be made as well
        except OSError as error:
            return f"it is not there, and cannot be made: {error.strerror}"
    if os.geteuid() == 0 and owner != 0:
        # sudo may keep HOME: what root makes there would be in that user's way ever after.
        return f"it is not there, and root makes none in a folder of user {owner}"
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return "it is not there, and in the folder above it none can be made"
    return None
