"""What `advisories.json` asks for and is not attacked in this folder: held by a test elsewhere, or argued. And the must-pass twenty.

A test is named as FILE::NAME below tests/; each is looked up, so that none can be renamed away unseen.
"""

_OPA, _WASM, _REGO = "unit/decision/test_opa.py", "unit/decision/test_wasm.py", "unit/rego/test_properties.py"
_HOLDS, _POOL, _ADDRESSES = "unit/holds/test_advisories.py", "unit/wire/upstream/test_pool.py", "unit/wire/upstream/test_addresses.py"
_JWT, _WALKS, _VERIFY = "unit/identity/test_jwt.py", "unit/gate/test_walks.py", "unit/audit/test_verify.py"

ELSEWHERE = {
    32: ("conformance/request-battery/test_listener.py::test_battery",),
    45: (f"{_POOL}::test_no_connection_is_shared_between_keys",),
    46: (f"{_POOL}::test_an_idle_connection_that_has_anything_to_say_is_discarded",),
    49: (f"{_ADDRESSES}::test_an_ipv4_address_is_judged_alike_in_every_ipv6_coat", f"{_ADDRESSES}::test_every_spelling_of_a_refused_address"),
    50: ("unit/web/people/test_guard.py::test_dns_rebinding", "unit/web/people/test_guard.py::test_a_write_from_elsewhere"),
    51: (f"{_ADDRESSES}::test_refused", f"{_POOL}::test_a_name_is_resolved_once"),
    52: (
        "unit/wire/test_tls.py::test_cve_2024_39321_every_way_of_shaking_hands_asks_alike",
        "unit/wire/test_tls.py::test_cve_2024_39321_a_client_hello_in_single_bytes",
        "unit/config/test_certificates.py::test_what_no_handshake_could_succeed_with",
    ),
    65: (f"{_JWT}::test_a_tampered_token_is_not_found_in_the_cache",),
    66: (f"{_JWT}::test_distinct_tokens_never_share_an_entry_cve_2026_33729",),
    67: (
        f"{_WASM}::test_an_agent_removed_from_the_registry_is_denied_at_once",
        f"{_WALKS}::test_a_kill_by_another_process_is_felt_by_the_next_request",
    ),
    68: (f"{_JWT}::test_a_bad_claim_is_refused", "e2e/test_jwt.py::test_agents_by_jwt_of_a_key_set_file"),
    69: ("unit/identity/test_agent_keys.py::test_every_truncation_is_refused_cve_2026_27840",),
    70: (f"{_HOLDS}::test_cve_2026_42208_names_are_parameters",),
    71: (f"{_OPA}::test_the_question_goes_out_as_the_contract_says",),
    72: ("e2e/test_opa_server.py::test_both_engines_give_the_same_verdicts", "unit/decision/test_build.py::test_broken_rules_give_no_bundle"),
    73: (f"{_REGO}::test_no_field_missing_null_or_of_a_wrong_type_loosens",),
    74: (
        "unit/config/test_secrets.py::test_what_is_not_there_is_refused",
        "unit/modes/test_modes.py::test_a_file_that_does_not_read_stops_everything",
    ),
    75: (
        f"{_WASM}::test_nothing_is_judged_before_a_registry_is_loaded",
        "e2e/test_opa_server.py::test_opa_without_a_bundle_is_refused_in_production",
    ),
    77: ("unit/decision/test_opa_replies.py::test_a_reply_is_what_it_is_expected_to_be",),
    78: (f"{_HOLDS}::test_cve_2026_58439_an_approval_does_not_survive_retargeting",),
    79: (f"{_HOLDS}::test_cve_2026_104632_a_late_approval_revives_nothing", "unit/holds/test_machine.py::TestLife"),
    80: ("unit/web/people/test_every_route.py::test_who_may",),
    81: ("unit/holds/test_repeat.py::test_the_first_bytes_are_the_ones_sent", "unit/holds/test_at_rest.py::test_what_was_stored_comes_back_exactly"),
    82: (f"{_HOLDS}::test_cve_2026_45720_cve_2026_20779_an_approval_is_spent_once",),
    84: ("unit/holds/test_ending.py::test_decide_by", "unit/holds/test_ending.py::test_a_jump_back_lengthens_nothing"),
    85: ("unit/cli/test_audit.py::test_cve_2024_45808_nothing_an_agent_wrote_steers_the_terminal",),
    87: (f"{_VERIFY}::test_garbage_empty_and_foreign_input_never_passes", "unit/cli/test_audit.py::test_no_log_is_no_pass"),
    89: (f"{_POOL}::test_our_own_listeners_are_never_an_upstream",),
    90: (f"{_POOL}::test_1000_interleaved_agents_never_see_each_others_answers",),
}
# Row → why there is nothing, or nothing more, to test.
ARGUED = {
    17: "the nginx configuration is not ours; that such a target is refused is tested here, whoever stands before us",
    64: "no route reads MCP: `Mcp-Method` and `Mcp-Name` are headers like any other, and the body is judged by its route",
    76: "no bundle is fetched: a policy is a file or built in, so none grows old behind an unreachable server; a stop never travels by bundle",
    91: "no second gateway stands behind us; that defaults are closed is what each test of this folder begins with",
}
MUST_PASS = {
    1: ("attacks/test_judged_is_sent.py::test_judged_is_sent",),
    2: ("attacks/test_targets.py::test_target", "conformance/request-battery/test_listener.py::test_battery"),
    3: ("attacks/test_headers.py::test_header",),
    4: ("attacks/test_headers.py::test_header", "attacks/test_upstreams.py::test_host"),
    5: ("attacks/test_smuggling.py::test_framing", "conformance/http-parsing/test_llhttp.py::test_dressed"),
    6: (
        "attacks/test_smuggling.py::test_cve_2025_64763_early_data_after_connect",
        "attacks/test_upstreams.py::test_dns_rebinding_of_the_people_s_listener",
    ),
    7: ("attacks/test_bodies.py::test_the_framing_changes_no_decision", "attacks/test_bodies.py::test_body"),
    8: ("conformance/json/test_json.py::test_over_the_listener", "attacks/test_bodies.py::test_body"),
    9: (
        "unit/decision/test_opa_replies.py::test_a_reply_is_what_it_is_expected_to_be",
        "e2e/test_opa_gone.py::test_nothing_passes_while_opa_is_gone",
    ),
    10: (f"{_REGO}::test_no_field_missing_null_or_of_a_wrong_type_loosens",),
    11: ("attacks/test_decisions.py::test_a_no_is_never_2xx",),
    12: (f"{_WALKS}::test_no_audit_no_action", "unit/audit/test_log.py::test_after_a_sync_error_nothing_is_appended_to_the_same_handle"),
    13: ("e2e/test_crash.py::test_no_crash_sends_twice_or_loses_a_vote",),
    14: ("unit/holds/test_releasing.py::test_sixty_claims_one_wins", "attacks/test_decisions.py::test_a_repeat_in_parallel_is_one_hold"),
    15: ("unit/holds/test_machine.py::TestLife",),
    16: (
        "attacks/test_operations.py::test_no_agent_reaches_a_control",
        "attacks/test_upstreams.py::test_cve_2020_11710_our_own_listeners_are_no_upstream",
    ),
    17: (f"{_WALKS}::test_a_kill_between_approve_and_send_is_not_sent", f"{_HOLDS}::test_a_kill_and_fifty_releases_race"),
    18: (f"{_VERIFY}::test_tampering_is_found_and_named", f"{_VERIFY}::test_what_only_an_outside_checkpoint_can_show_is_never_called_verified"),
    19: ("e2e/test_serve.py::test_a_broken_reload_keeps_the_last_good_one", f"{_WASM}::test_a_registry_that_does_not_fit_keeps_the_last_one"),
}
MEASURED = {20: "a soak takes hours and asserts figures: it is measured, not run by pytest"}
