"""What stands in the credentials of papers."""

import json
from dataclasses import replace

import pytest

from projections.papers.badges import LEVELS, certification_badge, statement_badge
from tests.projections.papers.samples import CERTIFICATION, ISSUER, STATEMENT


def test_a_statement_tells_its_minutes_and_what_it_does_not_count():
    badge = statement_badge(STATEMENT, ISSUER)
    subject = badge["credentialSubject"]
    names = {one["id"]: one["name"] for one in subject["achievement"]["resultDescription"]}
    assert {names[one["resultDescription"]]: one["value"] for one in subject["result"]} == {
        "服务分钟 / Minutes served": "220",
        "服务时长 / Time served": "3 小时 40 分 / 3 h 40 min",
    }
    first, left_out, *activities = subject["narrative"].splitlines()
    assert "220 minutes, 100 of them recorded late" in first
    assert "pending records 1, minutes 60; on paid duty records 2, minutes 480" in left_out
    assert [line.partition("：")[0] for line in activities] == ["助餐 (meals)", "陪诊 (escort)"]
    assert badge["name"] == subject["achievement"]["name"] == "服务记录证明 / Service statement"


def test_a_period_is_told_in_the_ledgers_zone():
    subject = statement_badge(STATEMENT, ISSUER)["credentialSubject"]
    assert subject["activityStartDate"] == "2026-01-05T00:00:00+08:00"
    assert subject["activityEndDate"] == "2026-03-31T23:59:59+08:00"


def test_a_certification_ends_when_the_last_day_of_its_registration_has_ended():
    badge = certification_badge(CERTIFICATION, ISSUER)
    assert badge["validFrom"] == CERTIFICATION.issued_at
    assert badge["validUntil"] == "2028-12-31T16:00:00Z"  # midnight in Shanghai


def test_a_certification_without_a_registration_has_no_end():
    bare = replace(CERTIFICATION, in_force_from=None, in_force_to=None)
    badge = certification_badge(bare, ISSUER)
    assert "validUntil" not in badge
    assert "Not registered" in badge["credentialSubject"]["narrative"]


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_is_an_achievement_of_its_own(level):
    badge = certification_badge(replace(CERTIFICATION, level=level), ISSUER)
    achievement = badge["credentialSubject"]["achievement"]
    assert achievement["id"] == f"https://t.example/issuers/org-a#certification-{level}"
    assert achievement["name"] == badge["name"] == LEVELS[level]
    assert achievement["achievementType"] == "Certification"


@pytest.mark.parametrize(
    ("badge", "paper"),
    [
        (statement_badge(STATEMENT, ISSUER), STATEMENT),
        (certification_badge(CERTIFICATION, ISSUER), CERTIFICATION),
    ],
)
def test_every_badge_says_whose_it_is_and_where_it_can_be_checked(badge, paper):
    assert badge["id"] == f"https://t.example/credentials/{paper.number}"
    assert badge["issuer"]["id"] == "https://t.example/issuers/org-a"
    assert badge["credentialSubject"]["id"] == f"urn:uuid:{paper.member_id}"
    [evidence] = badge["evidence"]
    assert evidence["id"] == f"https://t.example/verify/{paper.number}"
    assert (
        f"Entry {paper.position} of the log, leaf hash {paper.leaf_hash}" in evidence["narrative"]
    )
    assert json.loads(json.dumps(badge)) == badge
