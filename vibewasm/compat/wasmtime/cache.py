"""wasmtime's configuration files for its cache of compiled code (https://docs.wasmtime.dev/cli-cache.html)."""

from __future__ import annotations

from .errors import WasmtimeError


def folder_of(path: str) -> bool | str:
    """What ``vibewasm.Config(cache=...)`` is to be for such a file.

    Raises:
        WasmtimeError: the file cannot be read, is no TOML, or says what cannot be.
    """
    import os
    import tomllib

    problem = f"failed to parse config file: {path}\n\nCaused by:\n    "
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise WasmtimeError(
            f"failed to read config file: {path}\n\nCaused by:\n    {error.strerror} (os error {error.errno})\n"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WasmtimeError(f"{problem}{error}\n") from None
    section = found.get("cache", {})
    if not isinstance(section, dict):
        raise WasmtimeError(f"{problem}[cache] has to be a table\n")
    # Older files say so, and must.
    enabled = section.get("enabled", True)
    if not isinstance(enabled, bool):
        raise WasmtimeError(f"{problem}cache.enabled has to be true or false\n")
    folder = section.get("directory")
    if folder is not None and (not isinstance(folder, str) or not os.path.isabs(folder)):
        raise WasmtimeError(f"{problem}cache.directory has to be an absolute path\n")
    return enabled if folder is None or not enabled else folder
