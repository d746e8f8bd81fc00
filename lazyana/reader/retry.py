"""Trying again where a connection failed, and at the other places of a file where that fails."""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lazyana.errors import FileError
from lazyana.options import ReadOptions

T = TypeVar("T")

_LONGEST_PAUSE = 60.0
# What an XRootD server says of the file or the user rather than of the connection: invalid argument
# or request, not authorised, not found, unsupported, no file, a folder, bad checksum, TLS required,
# authentication failed.
_XROOTD_FINAL = re.compile(
    r"\[(?:3000|3006|3010|3011|3013|3015|3016|3019|3028|3030)\]|auth failed", re.IGNORECASE
)
_XROOTD_PREFIX = re.compile(r"^.*\[(?:ERROR|FATAL)\] (?:Server responded with an error: \[\d+\] )?")
_FINAL = {
    *(errno.EACCES, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.ENODEV, errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EPERM),
}
_HTTP_PASSING = (408, 425, 429)
_CUT_OFF = ("ClientPayloadError", "ServerDisconnectedError")


# What OpenSSL says, and what to do about it.
_TLS = {
    "CERTIFICATE_REQUIRED": (
        "the server asks for a certificate (X.509), and none is sent over https: read the file "
        "through root://, or with a token"
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "the certificate of the server is of an unknown authority: name those to be trusted in "
        "SSL_CERT_FILE or SSL_CERT_DIR (/etc/grid-security/certificates for servers of the grid)"
    ),
}


def _no_note(text: str) -> None:
    del text


def attempt(
    urls: Sequence[str],
    action: Callable[[str], T],
    options: ReadOptions,
    note: Callable[[str], None] = _no_note,
) -> T:
    """What an action gives for the first place of a file where it succeeds.

    Where a connection fails the action is tried again, ``options.retries`` times, with pauses that
    double. After that, and at once where the file itself is at fault, the next place is tried.

    Parameters
    ----------
    urls
        The places of one file, in the order to try them; at least one.
    action
        Called with a place.
    options
        ``retries``, ``backoff``.
    note
        Called with a sentence once the action has succeeded, if it had failed before.

    Returns
    -------
    object
        What `action` returned.

    Raises
    ------
    FileError
        Where no place works. It names each of them and why; a single place keeps its own message.
    """
    failures: list[tuple[str, BaseException, int]] = []
    for url in urls:
        try:
            found, errors = _try_place(url, action, options)
        except _PlaceError as failed:
            failures.append((url, failed.error, failed.tries))
            continue
        _tell(url, errors, failures, note)
        return found
    raise _all_failed(failures)


class _PlaceError(Exception):
    """All tries at one place failed."""

    def __init__(self, error: Exception, tries: int) -> None:
        super().__init__()
        self.error = error
        self.tries = tries


def _try_place(
    url: str, action: Callable[[str], T], options: ReadOptions
) -> tuple[T, list[Exception]]:
    """What the action gives, and what went wrong on the way."""
    errors: list[Exception] = []
    while True:
        try:
            return action(url), errors
        except Exception as error:
            passing = is_passing(error)
            if not passing and not (isinstance(error, OSError) or _is_of(error, "aiohttp")):
                raise
            errors.append(error)
            if not passing or len(errors) > options.retries:
                raise _PlaceError(error, len(errors)) from error
        time.sleep(pause(len(errors), options))


def pause(failures: int, options: ReadOptions) -> float:
    """Seconds to wait after a number of failures: twice as long each time, a minute at most.

    Up to a quarter more or less by chance, so that the tasks that a server threw out together do
    not come back together.
    """
    longest = min(options.backoff * 2.0 ** min(failures - 1, 64), _LONGEST_PAUSE)
    return longest * random.uniform(0.75, 1.25)


def is_passing(error: BaseException) -> bool:
    """Whether an error is of the connection, so that trying again may help.

    True for whatever the system, fsspec, aiohttp or XRootD raise, except that there is no such file
    or that reading it is not allowed. A FileError is what it was raised from.
    """
    if isinstance(error, FileError):
        return error.__cause__ is not None and is_passing(error.__cause__)
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _HTTP_PASSING
    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    if isinstance(error, OSError):
        return error.errno not in _FINAL and not _XROOTD_FINAL.search(str(error))
    return _is_of(error, "aiohttp") or _is_of(error, "asyncio")


def _status(error: BaseException) -> int | None:
    """The status by which a web server refused."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) and _is_of(error, "aiohttp") else None


def _is_of(error: BaseException, library: str) -> bool:
    """Whether an exception is of a library, which need not be there to find out."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(error).__mro__)


def reason(error: BaseException) -> str:
    """Why something failed, on one line and without a full stop."""
    known = _known_reason(error)
    if known is not None:
        return known
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return _XROOTD_PREFIX.sub("", lines[0]).rstrip(".")


def _known_reason(error: BaseException) -> str | None:
    """Why something failed, where the message of the exception is not the best one."""
    tls = next((text for word, text in _TLS.items() if word in str(error)), None)
    if tls is not None:
        return tls
    status = _status(error)
    if status is not None:
        return f"HTTP status {status} ({getattr(error, 'message', '')})".replace(" ()", "")
    if isinstance(error, OSError) and error.errno is not None and not _is_of(error, "aiohttp"):
        return str(error.strerror)
    if type(error).__name__ in _CUT_OFF and _is_of(error, "aiohttp"):
        return "the connection was cut off"
    return "no such file" if isinstance(error, FileNotFoundError) else None


def _tell(
    url: str,
    errors: Sequence[BaseException],
    failures: Sequence[tuple[str, BaseException, int]],
    note: Callable[[str], None],
) -> None:
    if failures:
        note(f"{'; '.join(_reasons(failures))}; read from {url} instead")
    elif errors:
        tries = len(errors)
        note(f"{_at(url, errors[-1])}; read after {tries} retr{'ies' if tries > 1 else 'y'}")


def _reasons(failures: Sequence[tuple[str, BaseException, int]]) -> Iterator[str]:
    for url, error, tries in failures:
        yield _at(url, error) + (f" ({tries} tries)" if tries > 1 else "")


def _at(url: str, error: BaseException) -> str:
    """A place and what went wrong there; the place is named once."""
    said = reason(error)
    return said if url in said else f"{url}: {said}"


def _all_failed(failures: Sequence[tuple[str, BaseException, int]]) -> FileError:
    if len(failures) > 1:
        each = "\n".join(f"  {text}" for text in _reasons(failures))
        message = f"{failures[0][0]} cannot be read at any of its {len(failures)} places:\n{each}"
        return _caused(message, failures[-1][1])
    ((url, error, tries),) = failures
    if isinstance(error, FileError):
        return error
    if isinstance(error, FileNotFoundError):
        return _caused(f"There is no file {url} (any more).", error)
    often = f" (tried {tries} times)" if tries > 1 else ""
    return _caused(f"{url} cannot be read: {reason(error)}{often}.", error)


def _caused(message: str, error: BaseException) -> FileError:
    raised = FileError(message)
    raised.__cause__ = error
    return raised
