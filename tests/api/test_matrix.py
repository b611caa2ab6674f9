"""Every route, in each of its forms, by every caller: what comes of it, and that nothing leaks.

All that is asked about is org-a's. Org-b and org-d know nobody of org-a's, org-c knows one member
of it, and org-d is suspended. `me` is that member, the others are members of org-a as well.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

import pytest
from pypdf import PdfReader

from api.app import ROUTES
from ledger.paper_numbers import new_number
from ledger.units import new_id
from tests.api.asked import ASKED, ROWS, Row, ask, asked_of
from tests.api.house import Said
from tests.api.planted import DOCUMENT, MARK, NAME, PERSONAL, PHONE, Town

TABLE = """
#                                  no   Ap  Av   Bp  Bv   Cp  Cv   Dp  Dv   me  oth fro clo  aud adm
healthz                            200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
readyz                             200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
metrics                            200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
openapi                            200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
docs                               200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
problem                            200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
add_unit                           401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
list_units                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_unit                           401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
add_organisation                   401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
list_organisations                 401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_organisation                   401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
suspend_organisation               401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
resume_organisation                401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
add_member                         401  201 201  201 201  201 201  sus sus  403 403 403 403  403 201
list_members                       401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
list_members by-ref                401  200 200  200 200  200 200  200 200  200 200 200 200  403 200
get_member                         401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
change_member                      401  200 200  404 404  403 403  404 404  403 403 403 403  403 200
erase_personal_data                401  403 403  403 403  403 403  403 403  403 403 403 403  403 204
record_relation                    401  403 201  403 404  403 n/f  403 404  403 403 403 403  403 201
list_relations                     401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
get_relation                       401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
give_consent                       401  403 201  403 404  403 201  403 404  201 404 404 404  403 201
withdraw_consent                   401  403 200  403 404  403 sta  403 404  200 404 404 404  403 200
list_consents                      401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
get_consent                        401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
freeze_credits                     401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
unfreeze_credits                   401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
close_account                      401  403 403  403 403  403 403  403 403  403 403 403 403  403 bal
get_balance                        401  200 200  404 404  403 403  404 404  200 404 404 404  200 200
get_passbook                       401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
get_passbook csv                   401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
get_passbook xlsx                  401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
post_transfer                      401  403 201  403 n/f  403 403  403 n/f  201 n/f n/f n/f  403 201
post_transfer gift                 401  403 201  403 n/f  403 403  403 n/f  201 n/f n/f n/f  403 201
post_transfer allocation           401  403 403  403 403  403 403  403 403  403 403 403 403  403 few
post_transfer grant                401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
post_transfer inheritance          401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
approve_grant                      401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
list_transfers                     401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_transfer                       401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
get_transfer grant                 401  404 404  404 404  404 404  404 404  404 404 404 404  200 200
add_reward                         401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
restock_reward                     401  403 200  403 403  403 403  403 403  403 403 403 403  403 200
withdraw_reward                    401  403 200  403 403  403 403  403 403  403 403 403 403  403 200
list_rewards                       401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_reward                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
reserve_redemption                 401  201 201  n/f n/f  403 403  n/f n/f  201 n/f n/f n/f  403 201
fulfil_redemption                  401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
cancel_redemption                  401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
list_redemptions                   401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_redemption                     401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
report_need                        401  201 201  n/f n/f  201 201  sus sus  403 403 403 403  403 201
assess_need                        401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
reject_need                        401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
resolve_need                       401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
list_needs                         401  200 200  200 200  200 200  200 200  403 403 403 403  200 200
get_need                           401  200 200  404 404  404 404  404 404  403 403 403 403  200 200
place_order                        401  201 201  n/f n/f  201 201  sus sus  403 403 403 403  403 201
place_order hold                   401  201 201  n/f n/f  403 403  sus sus  403 403 403 403  403 201
dispatch_order                     401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
accept_order                       401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
decline_order                      401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
check_in_order                     401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
check_out_order                    401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
rate_order                         401  200 200  404 404  404 404  404 404  200 404 404 404  403 200
cancel_order                       401  200 200  404 404  404 404  404 404  403 403 403 403  403 200
dispute_order                      401  200 200  404 404  404 404  404 404  200 404 404 404  403 200
decide_order                       401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_orders                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_order                          401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
submit_certification               401  403 201  403 n/f  403 201  403 n/f  403 403 403 403  403 201
verify_certification               401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
register_certification             401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
renew_certification                401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
revoke_certification               401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_certifications                401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_certification                  401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
submit_achievement                 401  403 201  403 n/f  403 201  403 n/f  403 403 403 403  403 201
approve_achievement                401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
apply_achievement                  401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
reverse_achievement                401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_achievements                  401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_achievement                    401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
appoint_supervisor                 401  403 201  403 n/f  403 n/f  403 n/f  403 403 403 403  403 201
end_appointment                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_appointments                  401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_appointment                    401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
begin_mentorship                   401  403 201  403 n/f  403 n/f  403 n/f  403 403 403 403  403 201
end_mentorship                     401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_mentorships                   401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_mentorship                     401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
file_case                          401  403 201  403 n/f  403 201  403 n/f  403 403 403 403  403 201
withdraw_case                      401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_cases                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_case                           401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
begin_project                      401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
advance_project                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
withdraw_project                   401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_projects                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_project                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
begin_conversion                   401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
advance_conversion                 401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
withdraw_conversion                401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_conversions                   401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_conversion                     401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
open_programme                     401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
enrol_member                       401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
complete_programme                 401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
close_programme                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_programmes                    401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_programme                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
list_enrolments                    401  200 200  404 404  404 404  404 404  200 200 200 200  200 200
set_target                         401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
withdraw_target                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_targets                       401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_target                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
sign_agreement                     401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
amend_agreement                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
end_agreement                      401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_agreements                    401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_agreement                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
hold_meeting                       401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
close_resolution                   401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_meetings                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_meeting                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
add_partner                        401  403 201  403 201  403 201  403 sus  403 403 403 403  403 201
end_partner                        401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_partners                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_partner                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
name_expert                        401  403 201  403 n/f  403 201  403 n/f  403 403 403 403  403 201
end_expert                         401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_experts                       401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_expert                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_career                         401  200 200  404 404  403 403  404 404  200 404 404 404  200 200
get_organisation_balance           401  200 200  403 403  403 403  403 403  403 403 403 403  200 200
get_organisation_passbook          401  200 200  403 403  403 403  403 403  403 403 403 403  200 200
get_unit_balance                   401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
get_unit_passbook                  401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
post_service_record                401  201 201  n/f n/f  201 201  n/f n/f  403 403 403 403  403 201
list_service_records               401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_service_record                 401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
verify_service_record              401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
reject_service_record              401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
issue_statement                    401  403 201  403 404  403 201  403 404  201 404 404 404  403 201
list_members_statements            401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
list_statements                    401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_statement                      401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
get_statement pdf                  401  200 200  404 404  404 404  404 404  200 404 404 404  403 200
get_statement credential           401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
revoke_statement                   401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
issue_credential                   401  403 201  403 404  403 404  403 404  201 404 404 404  403 201
list_credentials                   401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_credential                     401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
get_credential credential          401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
revoke_credential                  401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
verify_statement                   200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
verify_page                        200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
verify_form                        200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_issuer                         200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_status_list                    200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
reverse_service_record             401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
correct_service_record             401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
request_correction                 401  403 403  403 403  403 403  403 403  201 404 404 404  403 201
list_correction_requests_of_record 401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
decline_correction                 401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_correction_requests           401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_correction_request             401  200 200  404 404  404 404  404 404  200 404 404 404  200 200
post_service_record_batch          401  200 200  bat bat  200 200  bat bat  403 403 403 403  403 200
import_service_records             401  200 200  bat bat  bat bat  bat bat  403 403 403 403  403 200
import_members                     401  200 200  200 200  200 200  bat bat  403 403 403 403  403 200
publish_policy                     401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
list_policies                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
policy_at                          401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
list_policy_packs                  401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_policy                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
override_grade                     401  403 403  403 403  403 403  403 403  403 403 403 403  403 201
appeal_grade                       401  403 201  403 404  403 201  403 404  201 404 404 404  403 201
decide_grade_appeal                401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
list_grades                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_grade                          401  200 200  404 404  200 200  404 404  200 404 404 404  200 200
get_grade organisation             401  200 200  404 404  404 404  404 404  404 404 404 404  200 200
get_grade project                  401  200 200  404 404  404 404  404 404  404 404 404 404  200 200
list_supervision_indexes           401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
list_kpis                          401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
list_kpis csv                      401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_kpi                            401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_kpi csv                        401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
close_period                       401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
reopen_period                      401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
list_periods                       401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_period                         401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
what_if                            401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_events                        401  200 200  200 200  200 200  200 200  403 403 403 403  200 200
list_events ndjson                 401  200 200  200 200  200 200  200 200  403 403 403 403  200 200
get_event                          401  200 200  404 404  404 404  404 404  403 403 403 403  200 200
follow_events                      401  200 200  200 200  200 200  200 200  403 403 403 403  200 200
add_webhook                        401  403 201  403 201  403 201  403 201  403 403 403 403  403 201
list_webhooks                      401  403 200  403 200  403 200  403 200  403 403 403 403  403 200
get_webhook                        401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
remove_webhook                     401  403 204  403 404  403 404  403 404  403 403 403 403  403 204
pause_webhook                      401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
resume_webhook                     401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
replay_webhook                     401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
rotate_webhook_secret              401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
test_webhook                       401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_webhook_attempts              401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
list_dead_letters                  401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
get_dead_letter                    401  403 200  403 404  403 404  403 404  403 403 403 403  403 200
retry_dead_letter                  401  403 202  403 404  403 404  403 404  403 403 403 403  403 202
trial_balance                      401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_accounts                      401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_account_lines                 401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
solvency                           401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
checkpoint                         200  200 200  200 200  200 200  200 200  200 200 200 200  200 200
get_tile                           401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
get_tile entries                   401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_checkpoints                   401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
get_checkpoint                     401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_signing_keys                  401  200 200  200 200  200 200  200 200  200 200 200 200  200 200
prove_inclusion                    401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
prove_consistency                  401  403 403  403 403  403 403  403 403  403 403 403 403  200 200
list_audit_reads                   401  403 403  403 403  403 403  403 403  403 403 403 403  403 200
get_personal_data                  401  403 403  403 403  403 403  403 403  200 404 404 404  403 200
get_personal_data pdf              401  403 403  403 403  403 403  403 403  200 404 404 404  403 200
"""
"""A number is the status of an answer without a problem, or with the problem of `PROBLEMS`."""

COLUMNS = (
    "no key",
    *("A poster", "A verifier", "B poster", "B verifier"),
    *("C poster", "C verifier", "D poster", "D verifier"),
    *("me", "other", "frozen", "closed"),
    *("auditor", "admin"),
)
KEYLESS = ("no key", "malformed", "unknown", "revoked", "expired", "erased")
"""All who have no key that works: each is asked where the table says `no key`."""
STRANGERS = ("B poster", "B verifier", "D poster", "D verifier", "other", "frozen", "closed")
JOINED = ("C poster", "C verifier")

PROBLEMS: dict[str, tuple[int, str]] = {
    "401": (401, "unauthenticated"),
    "403": (403, "forbidden"),
    "404": (404, "not_found"),
    "n/f": (422, "not_found"),
    "sus": (409, "organisation_suspended"),
    "few": (409, "not_enough_credits"),
    "bal": (409, "balance_not_settled"),
    "bat": (409, "batch_refused"),
    "sta": (409, "wrong_state"),
}
POINTERS = {
    "record_relation": {"/to"},
    "post_transfer": {"/from"},
    "post_transfer gift": {"/from"},
    "reserve_redemption": {"/member_id"},
    "report_need": {"/reported_by"},
    "place_order": {"/recipient_id"},
    "place_order hold": {"/recipient_id"},
    "submit_certification": {"/member_id"},
    "submit_achievement": {"/member_id"},
    "appoint_supervisor": {"/member_id"},
    "begin_mentorship": {"/mentor_id", "/mentee_id"},  # org-c knows one of the two
    "file_case": {"/member_id"},
    "name_expert": {"/member_id"},
    "post_service_record": {"/member_id"},
}
"""Where it is said that a body's id is nobody's."""


KNOWN = {
    **dict.fromkeys(JOINED, ("me",)),
    **{name: (name, f"record of {name}") for name in ("other", "frozen", "closed")},
}
"""The ids that some callers may be told although they are org-a's."""

PRINTED = "get_statement pdf"
"""With the name on it: but for a poster, who is not told whole names."""

NAME_WIDTH = 35


class Cell(NamedTuple):
    """What comes of a request."""

    status: int
    code: str | None  # of the problem


def cells() -> dict[str, dict[str, Cell]]:
    """The table: by the row's name and the column's."""
    found: dict[str, dict[str, Cell]] = {}
    for line in TABLE.strip().splitlines():
        if line.startswith("#"):
            continue
        name, said = line[:NAME_WIDTH].strip(), line[NAME_WIDTH:].split()
        assert len(said) == len(COLUMNS), line
        assert name not in found, line
        found[name] = {
            column: Cell(*PROBLEMS[each]) if each in PROBLEMS else Cell(int(each), None)
            for column, each in zip(COLUMNS, said, strict=True)
        }
    return found


CELLS = cells()
CALLERS = (*KEYLESS, *COLUMNS[1:])
UNSEEN = [
    name for name, row in CELLS.items() if any(cell.code == "not_found" for cell in row.values())
]
WRITES = {route.operation for route in ROUTES if route.write}


def test_every_route_has_a_row_and_every_row_a_cell_for_every_caller() -> None:
    operations = {route.operation for route in ROUTES}
    assert {ROWS[name].operation for name in CELLS} == operations
    assert len(operations) == len(ROUTES)
    assert CELLS.keys() == ASKED.keys()
    tested = sum(len(row) for row in CELLS.values()) + len(CELLS) * (len(KEYLESS) - 1)
    assert tested == len(ROWS) * len(CALLERS) >= 3_000, f"{tested} cells"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CELLS)
async def test_a_route_answers_each_caller_as_the_table_says(town: Town, name: str) -> None:
    row, position, asked = ROWS[name], town.house.position, 0
    for caller in CALLERS:
        cell = CELLS[name]["no key" if caller in KEYLESS else caller]
        allowed = cell.code is None
        writes = row.operation in WRITES
        key = {"once": new_id()} if writes and row.method == "POST" else {}
        # What is refused is asked for in earnest, so that a wrong yes would be written.
        said = await ask(town.callers[caller], row, town.ids, dry_run=writes and allowed, **key)
        assert told(said) == cell, (caller, said.body)
        if cell == PROBLEMS["n/f"]:
            assert set(said.pointers) <= POINTERS[name], caller
        leaks = found(said, row, town, caller)
        assert not leaks, (caller, leaks, said.body)
        if row.method == "GET":
            head = await ask(town.callers[caller], row, town.ids, method="HEAD")
            assert (head.status, head.body) == (said.status, b""), caller
        asked += 1
    assert asked == len(CALLERS)
    assert town.house.position == position


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_planted_can_be_found(town: Town) -> None:
    """Else nothing would be proved by its not being found."""
    seen: dict[str, str] = dict.fromkeys(("A verifier", "C verifier", "me", "auditor", "admin"), "")
    for name, row in ROWS.items():
        for caller in seen:
            cells = CELLS[name]
            keyed = cells["no key"].status == 401  # else the code is in what is asked
            if row.method == "GET" and keyed and cells[caller].status == 200:
                seen[caller] += readable(await ask(town.callers[caller], row, town.ids))
    private = town.private()
    for caller, beyond in (
        ("A verifier", ["grant"]),
        ("auditor", ["code", "webhook"]),
        ("admin", []),
    ):
        assert [name for name, id in private.items() if id not in seen[caller]] == beyond
        assert MARK in seen[caller]
    assert private["me"] in seen["C verifier"]
    assert town.ids["record of C"] in seen["C verifier"]
    assert {word for word in PERSONAL if word in seen["me"]} == set(PERSONAL)
    assert {word for word in PERSONAL if word in seen["admin"]} == set(PERSONAL)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", UNSEEN)
async def test_what_may_not_be_seen_is_refused_like_what_is_not_there(
    town: Town, name: str
) -> None:
    row = ROWS[name]
    for caller, cell in CELLS[name].items():
        if cell.code != "not_found":
            continue
        known = ("me",) if caller in JOINED else ()
        elsewhere = town.ids | {
            which: nobodys(id) for which, id in town.private().items() if which not in known
        }
        theirs = await ask(town.callers[caller], row, town.ids)
        nobody = await ask(town.callers[caller], row, elsewhere)
        assert spelled(theirs, town.ids) == spelled(nobody, elsewhere), caller


def told(said: Said) -> Cell:
    """The status, and the code where it is a problem."""
    return Cell(said.status, said.code if said.status >= 400 else None)


def nobodys(id: str) -> str:
    """An id of the same kind that names nothing."""
    return new_id() if "-7" in id[13:] else new_number(id[:2])


def spelled(said: Said, ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer but for its request's id and the ids that were asked about."""
    text = said.body.decode()
    for name, id in sorted(ids.items()):
        if len(id) < len("ST-7K3M-9QX4-T2BC"):  # a position
            continue
        text = text.replace(id, f"<{name}>")
    return said.status, re.sub(r'"request_id":"[^"]+"', "", text)


def found(said: Said, row: Row, town: Town, caller: str) -> list[str]:
    """What stands in an answer, or in its head, that the caller may not see."""
    whole = [NAME, DOCUMENT, PHONE]
    if caller in KEYLESS or caller in STRANGERS or caller in JOINED:
        known = KNOWN.get(caller, ())
        ids = [id for name, id in town.private().items() if name not in known]
        secret = [*PERSONAL, MARK, town.ids["code"], *ids]
    elif caller == "auditor":
        secret = [*PERSONAL, town.ids["code"]]
    elif row.operation == "get_personal_data" or (row.name == PRINTED and caller != "A poster"):
        secret = []
    else:
        secret = whole
    told_by_them = repr(asked_of(row, town.ids))
    return [word for word in secret if word in readable(said) and word not in told_by_them]


def readable(said: Said) -> str:
    """The texts of an answer, unpacked, and its head."""
    head = repr(dict(said.headers))
    if said.body.startswith(b"PK"):
        with zipfile.ZipFile(BytesIO(said.body)) as packed:
            return head + "".join(packed.read(name).decode() for name in packed.namelist())
    if said.body.startswith(b"%PDF"):
        return head + "".join(page.extract_text() for page in PdfReader(BytesIO(said.body)).pages)
    return head + said.body.decode("utf-8", "replace")
