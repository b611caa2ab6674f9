"""Certification over HTTP: submit, verify, register, renew, revoke, look up."""

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, Day, ReasonAsk, ReasonNeededAsk, Text, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.service_records import is_beyond, sight
from ledger.commands import (
    RegisterCertification,
    RenewCertification,
    RevokeCertification,
    SubmitCertification,
    VerifyCertification,
)
from ledger.desk import Done
from ledger.events import Level
from ledger.units import new_id
from projections import shelves as view
from projections.listing import Listed

Standing = Literal["submitted", "verified", "registered", "renewed", "lapsed", "revoked"]


class CertificationAsk(Ask):
    """A member has a certificate."""

    entering = ("certificate_ref",)

    organisation: Code | None = None
    member_id: Uuid
    level: Level
    certificate_ref: Text
    obtained_on: Day


class RegistrationAsk(Ask):
    """The certificate is registered."""

    registered_on: Day


class RenewalAsk(Ask):
    """The registration goes on."""

    renewed_on: Day
    education_hours: Annotated[int, Field(ge=0, le=10_000, description="Class hours.")]


class RevocationAsk(ReasonNeededAsk):
    """The certificate is none from a date on."""

    effective_on: Day


async def submit(call: Call) -> web.Response:
    """Say that a member has a certificate."""
    asked: CertificationAsk = call.body
    command = SubmitCertification(
        **call.stamp(),
        certification_id=new_id(),
        member_id=asked.member_id,
        organisation=call.acting_organisation(),
        level=asked.level,
        certificate_ref=asked.certificate_ref,
        obtained_on=asked.obtained_on,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def verify(call: Call) -> web.Response:
    """Let a certificate count."""
    asked: ReasonAsk = call.body
    command = VerifyCertification(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def register(call: Call) -> web.Response:
    """Register a certificate, for the first time or anew."""
    asked: RegistrationAsk = call.body
    command = RegisterCertification(**_about(call), registered_on=asked.registered_on)
    return await call.write(command, lambda done: (200, _told(done)))


async def renew(call: Call) -> web.Response:
    """Let a registration go on."""
    asked: RenewalAsk = call.body
    command = RenewCertification(
        **_about(call), renewed_on=asked.renewed_on, education_hours=asked.education_hours
    )
    return await call.write(command, lambda done: (200, _told(done)))


async def revoke(call: Call) -> web.Response:
    """Say that a certificate is none from a date on."""
    asked: RevocationAsk = call.body
    command = RevokeCertification(
        **_about(call), effective_on=asked.effective_on, reason=asked.reason
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _about(call: Call) -> dict[str, Any]:
    return {
        **call.stamp(),
        "certification_id": call.path["id"],
        "organisation": call.key.organisation,
    }


def _told(done: Done) -> Fields:
    certification = done.states["certification"]
    submitted = certification.submitted
    return {
        "id": submitted.certification_id,
        "member_id": submitted.member_id,
        "status": certification.status,
        "level": submitted.level,
        "in_force_from": certification.first or None,
        "in_force_to": certification.last or None,
        "renewal_from": certification.renewal_from,
        "position": certification.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class CertificationsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    level: Level | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The certificates that the caller may see."""
    query: CertificationsQuery = call.query
    return await answer_shelf(call, view.CERTIFICATIONS, query, ("level", "status"))


async def item(call: Call) -> web.Response:
    """One certificate."""
    return await call.read(view.item, view.CERTIFICATIONS, call.path["id"], *sight(call))


async def answer_shelf(
    call: Call, shelf: view.Shelf, query: Any, names: tuple[str, ...]
) -> web.Response:
    """A page of a shelf, narrowed to what the caller may see; `names` are columns to filter by."""
    filters = {name: said for name in names if (said := getattr(query, name)) is not None}
    return await answer_page(call, _visible, shelf, query, filters, *sight(call))


def _visible(
    connection: Connection,
    shelf: view.Shelf,
    query: Any,
    filters: dict[str, str],
    organisation: str | None,
    member_id: str | None,
) -> Listed:
    if is_beyond(organisation, query.organisation) or is_beyond(member_id, query.member_id):
        return Listed([], None)
    return view.listing(
        connection,
        shelf,
        query.after,
        query.limit,
        organisation=organisation or query.organisation,
        member_id=member_id or query.member_id,
        filters=filters,
    )


# --- answers -------------------------------------------------------------------------------------

Term = Annotated[DayText | None, Field(description="Of the newest term of registration.")]


class CertificationWritten(Written):
    """A certificate after what was just written."""

    id: Uuid
    member_id: Uuid
    status: Standing
    level: Level
    in_force_from: Term
    in_force_to: Term
    renewal_from: Annotated[
        DayText | None, Field(description="The first date on which it can be renewed.")
    ]


class Certification(BaseModel):
    """A certificate as it stands."""

    id: Uuid
    member_id: Uuid
    organisation: Code
    level: Level
    certificate_ref: str
    obtained_on: DayText
    status: Standing
    in_force_from: Term
    in_force_to: Term
    renewal_from: DayText | None
    revoked_from: DayText | None
    reason: Annotated[str | None, Field(description="Why it is revoked.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class CertificationPage(Page):
    """Certificates, oldest first."""

    data: list[Certification]


TAG = "Certifications"
_ITEM = "/v1/certifications/{id}"

ROUTES = [
    Route(
        method="POST",
        path="/v1/certifications",
        handler=submit,
        operation="submit_certification",
        tag=TAG,
        summary_zh="提交职业资格证书",
        summary_en="Say that a member has a certificate",
        roles=VERIFIERS,
        write=True,
        body=CertificationAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "level": "assistant",
            "certificate_ref": "证书-2025-117",
            "obtained_on": "2025-08-20",
        },
        answers={201: CertificationWritten},
        problems=(
            *("in_the_future", "organisation_suspended", "member_closed", "not_found"),
            "personal_data_in_text",
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/verify",
        handler=verify,
        operation="verify_certification",
        tag=TAG,
        summary_zh="核验证书（须另一人），计入等级积分",
        summary_en="Let a certificate count; another actor than who submitted it",
        roles=VERIFIERS,
        write=True,
        body=ReasonAsk,
        example={"reason": "已核对原件"},
        answers={200: CertificationWritten},
        problems=("wrong_state", "second_person_needed", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/register",
        handler=register,
        operation="register_certification",
        tag=TAG,
        summary_zh="登记（三年有效）",
        summary_en="Register a certificate for three years",
        roles=VERIFIERS,
        write=True,
        body=RegistrationAsk,
        example={"registered_on": "2025-09-01"},
        answers={200: CertificationWritten},
        problems=("wrong_state", "in_the_future", "out_of_order"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/renew",
        handler=renew,
        operation="renew_certification",
        tag=TAG,
        summary_zh="再登记",
        summary_en="Let a registration go on for three years",
        roles=VERIFIERS,
        write=True,
        body=RenewalAsk,
        example={"renewed_on": "2028-07-01", "education_hours": 72},
        answers={200: CertificationWritten},
        problems=(
            *("wrong_state", "in_the_future", "outside_renewal_window", "not_enough_education"),
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/revoke",
        handler=revoke,
        operation="revoke_certification",
        tag=TAG,
        summary_zh="自某日起撤销；其后服务的积分与持证标记一并收回",
        summary_en="Say that a certificate is none from a date on",
        roles=VERIFIERS,
        write=True,
        body=RevocationAsk,
        example={"effective_on": "2026-01-01", "reason": "证书无效"},
        answers={200: CertificationWritten},
        problems=("wrong_state", "in_the_future", "out_of_order", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/certifications",
        handler=listing,
        operation="list_certifications",
        tag=TAG,
        summary_zh="证书列表",
        summary_en="List certificates",
        roles=EVERYONE,
        query=CertificationsQuery,
        answers={200: CertificationPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_certification",
        tag=TAG,
        summary_zh="一份证书",
        summary_en="Get a certificate",
        roles=EVERYONE,
        answers={200: Certification},
    ),
]
