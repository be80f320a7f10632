"""Asks an archive for its studies, page by page, until everything was seen or it is clear that it will not be."""

from collections.abc import Mapping
from typing import Final

from study_router.domain.listings import Listing, Span
from study_router.ports import ArchiveConnector
from udckit.errors import PreconditionError

PAGE: Final = 1000


class ListingCutError(PreconditionError):
    """An archive does not show all its studies, and asking for less at once does not help."""

    reason = "LISTING_CUT"


async def list_span(connector: ArchiveConnector, span: Span | None) -> Listing:
    """List the studies of a span, or all.

    Raises:
        UpstreamUnavailableError: the archive is away.
    """
    listing = Listing(limit=PAGE, span=span)
    while listing.add(await connector.studies(span, offset=listing.received, limit=PAGE)):
        pass
    return listing


async def studies_held(connector: ArchiveConnector, archive: str, span: Span | None) -> Mapping[str, int]:
    """Return the studies of a span, or all, with the number of their instances.

    Raises:
        ListingCutError: the archive does not show all of them.
        UpstreamUnavailableError: the archive is away.
    """
    held: dict[str, int] = {}
    waiting: list[Span | None] = [None] if span is None else [*span.days()]
    while waiting:
        piece = waiting.pop()
        listing = await list_span(connector, piece)
        held.update({uid: study.instances for uid, study in listing.studies.items()})
        waiting.extend(smaller(archive, piece, listing))
    return held


def smaller(archive: str, span: Span | None, listing: Listing) -> tuple[Span, ...]:
    """Return what has to be asked for instead of ``span``; nothing when its listing was whole.

    Raises:
        ListingCutError: it cannot be smaller, or that would not help.
    """
    if listing.is_whole:
        return ()
    halves = None if span is None or listing.ignores_selection else span.halves()
    if halves is None:
        raise _cut(archive, span, listing)
    return halves


def _cut(archive: str, span: Span | None, listing: Listing) -> ListingCutError:
    """Return the error that says what cannot be seen, and what to do."""
    if listing.ignores_selection:
        return ListingCutError(
            f"archive {archive} was asked for the studies of {span} and answers with others; it has to select by Study"
            " Date and Study Time: name what it hides with udc study submit until it does",
            archive=archive,
        )
    asked = "when asked for all" if span is None else f"of {span}"
    return ListingCutError(
        f"archive {archive} does not show all its studies {asked}, and that cannot be asked for in smaller pieces:"
        " raise its limit for answers to queries, or name what it hides with udc study submit",
        archive=archive,
        shown=len(listing.studies),
    )
