# Where something would come out

package stagewarden.rules.destinations_test

import data.stagewarden.rules.destinations
import data.stagewarden.testing

said(question, changes) := [codes(denied), codes(held), tier] if {
	registry := testing.registering(changes)
	denied := destinations.deny with input as question with data.registry as registry
	held := destinations.hold with input as question with data.registry as registry
	tier := destinations.tier with input as question with data.registry as registry
}

codes(reasons) := {reason.code | some reason in reasons}

inside(destination) := testing.sharing({"action": {"destination": destination, "external": false}})

outside(destination) := testing.sharing({"action": {"destination": destination}})

attested(at) := {"destinations": {
	"newsroom-site": {"attested": {"at": at, "by": "sam"}},
	"intranet": {"attested": {"at": at, "by": "sam"}},
}}

test_said[name] if {
	some name, [question, expected] in {
		"capable, public": [outside("newsroom-site"), [set(), set(), set()]],
		"capable, internal": [inside("intranet"), [set(), set(), set()]],
		"unknown": [outside("nowhere"), [{"destination_unknown"}, set(), set()]],
		"unknown, drafting": [testing.drafting({"action": {"destination": "nowhere"}}), [{"destination_unknown"}, set(), set()]],
		"cannot revoke, public": [outside("billboard"), [{"destination_cannot_enforce"}, set(), set()]],
		"cannot revoke, internal": [inside("archive"), [set(), {"destination_cannot_enforce"}, {"medium"}]],
		"cannot revoke, drafting": [testing.drafting({"action": {"destination": "billboard"}}), [set(), set(), set()]],
	}
	said(question, {}) == expected
}

test_names_what_it_cannot[name] if {
	some name, [capabilities, missing] in {
		"retain": [{"retention": false}, ["retention"]],
		"approve and revoke": [{"approval": null, "revoke": false}, ["approval", "revoke"]],
	}
	reasons := destinations.deny with input as outside("newsroom-site")
		with data.registry as testing.registering({"destinations": {"newsroom-site": {"capabilities": capabilities}}})
	[reason.detail.missing | some reason in reasons] == [missing]
}

test_attested[name] if {
	stale := {"attestation_stale"}
	some name, [at, public, internal] in {
		"today": ["2026-11-21", set(), set()],
		"a year ago": ["2025-11-21", set(), set()],
		"a year and a day ago": ["2025-11-20", stale, stale],
		"with a time of day": ["2026-06-01T12:00:00Z", set(), set()],
		"tomorrow": ["2026-11-22", stale, stale],
		"no date": ["last summer", stale, stale],
		"another notation": ["2026/06/01", stale, stale],
		"a letter among the digits": ["2026-0x-01", stale, stale],
		"dashes elsewhere": ["2026-6-001", stale, stale],
		"one part too many": ["2026-06-0-", stale, stale],
		"nothing": [null, stale, stale],
	}
	tier := {"medium" | count(internal) > 0}
	said(outside("newsroom-site"), attested(at)) == [public, set(), set()]
	said(inside("intranet"), attested(at)) == [set(), internal, tier]
}

test_never_attested if {
	said(outside("newsroom-site"), {"destinations": {"newsroom-site": {"attested": null}}}) == [{"attestation_stale"}, set(), set()]
}

test_sandbox[name] if {
	some name, [changes, expected] in {
		"public": [{}, {"sandbox_export"}],
		"public, on loopback": [{"action": {"loopback": true}}, set()],
		"internal": [{"action": {"destination": "intranet", "external": false}}, set()],
		"drafting": [{"action": {"stage": "edit"}}, set()],
		"something like loopback": [{"action": {"loopback": "true"}}, {"sandbox_export"}],
	}
	[denied, _, _] := said(object.union(testing.sharing({"state": {"environment": "sandbox"}}), changes), {})
	denied == expected
}
