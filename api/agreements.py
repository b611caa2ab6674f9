"""Agreements that pair a community with an agency, over HTTP: sign, amend, end, look up."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from api.asks import Ask, Code, Day, Text
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, Route
from api.field_facts import (
    FILING,
    STEPPING,
    Filed,
    FiledWritten,
    SearchQuery,
    answer_field,
    verb,
)
from api.supervision import EndAsk, TermAsk
from ledger.commands import AmendAgreement, EndAgreement, SignAgreement
from ledger.desk import Done
from ledger.units import new_id
from projections import field_shelves as view
from projections import shelves

Standing = Literal["signed", "ended"]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the paper, in hex.")
]


class AgreementAsk(TermAsk):
    """A community is paired with an agency for a term, of which both dates are a part."""

    entering = ("version",)

    organisation: Code | None = None
    community: Annotated[Code, Field(description="A unit of level `community` or `street`.")]
    agency: Annotated[Code, Field(description="An organisation of kind `social_work`.")]
    version: Text
    hash: Sha256
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]


class AmendmentAsk(Ask):
    """Another paper holds, to this date."""

    entering = ("version",)

    version: Text
    hash: Sha256
    last: Annotated[Day, Field(alias="to")]


async def sign(call: Call) -> web.Response:
    """Pair a community with an agency."""
    asked: AgreementAsk = call.body
    command = SignAgreement(
        **call.stamp(),
        agreement_id=new_id(),
        organisation=call.acting_organisation(),
        community=asked.community,
        agency=asked.agency,
        version=asked.version,
        hash=asked.hash,
        first=asked.first,
        last=asked.last,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def amend(call: Call) -> web.Response:
    """Put another paper in the place of the one before."""
    asked: AmendmentAsk = call.body
    command = AmendAgreement(
        **verb(call, "agreement_id"), version=asked.version, hash=asked.hash, last=asked.last
    )
    return await call.write(command, lambda done: (200, _told(done)))


async def end(call: Call) -> web.Response:
    """End an agreement before its term."""
    asked: EndAsk = call.body
    command = EndAgreement(**verb(call, "agreement_id"), last=asked.on, reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    agreement = done.states["agreement"]
    signed = agreement.signed
    return {
        "id": signed.agreement_id,
        "community": signed.unit,
        "agency": signed.agency,
        "version": agreement.version,
        "hash": agreement.hash,
        "from": signed.first,
        "to": agreement.last,
        "status": "ended" if agreement.ended else "signed",
        "position": agreement.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class AgreementsQuery(SearchQuery):
    """A search in the version: all that is given holds."""

    unit: Annotated[Code | None, Field(description="The community's unit.")] = None
    agency: Code | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The agreements: everybody may search all of them."""
    return await answer_field(call, view.AGREEMENTS, "agency", "status")


async def item(call: Call) -> web.Response:
    """One agreement."""
    return await call.read(shelves.item, view.AGREEMENTS, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class AgreementWritten(FiledWritten):
    """An agreement after what was just written."""

    community: Code
    agency: Code
    version: str
    hash: Sha256
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Standing


class Agreement(Filed):
    """An agreement as it stands."""

    community: Code
    agency: Code
    version: Annotated[str, Field(description="Of the paper that holds.")]
    hash: Sha256
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Standing


class AgreementPage(Page):
    """Agreements, oldest first."""

    data: list[Agreement]


TAG = "Agreements"

ROUTES = [
    Route(
        method="POST",
        path="/v1/agreements",
        handler=sign,
        operation="sign_agreement",
        tag=TAG,
        summary_zh="签订社区与社工机构的结对协议",
        summary_en="Pair a community with an agency for a term",
        roles=VERIFIERS,
        write=True,
        body=AgreementAsk,
        example={
            "community": "creek",
            "agency": "harbour-agency",
            "version": "2026-1",
            "hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "from": "2026-01-01",
            "to": "2026-12-31",
        },
        answers={201: AgreementWritten},
        problems=FILING,
    ),
    Route(
        method="POST",
        path="/v1/agreements/{id}/amend",
        handler=amend,
        operation="amend_agreement",
        tag=TAG,
        summary_zh="修订协议",
        summary_en="Put another paper in the place of the one before",
        roles=VERIFIERS,
        write=True,
        body=AmendmentAsk,
        example={
            "version": "2026-2",
            "hash": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "to": "2027-06-30",
        },
        answers={200: AgreementWritten},
        problems=("wrong_state", "out_of_order", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/agreements/{id}/end",
        handler=end,
        operation="end_agreement",
        tag=TAG,
        summary_zh="提前终止协议",
        summary_en="End an agreement before its term",
        roles=VERIFIERS,
        write=True,
        body=EndAsk,
        example={"reason": "协商解除"},
        answers={200: AgreementWritten},
        problems=STEPPING,
    ),
    Route(
        method="GET",
        path="/v1/agreements",
        handler=listing,
        operation="list_agreements",
        tag=TAG,
        summary_zh="结对协议检索",
        summary_en="Search the agreements",
        roles=EVERYONE,
        query=AgreementsQuery,
        answers={200: AgreementPage},
    ),
    Route(
        method="GET",
        path="/v1/agreements/{id}",
        handler=item,
        operation="get_agreement",
        tag=TAG,
        summary_zh="一份结对协议",
        summary_en="Get an agreement",
        roles=EVERYONE,
        answers={200: Agreement},
    ),
]
