# What an agent may see of an answer (W8)

package stagewarden.answers_test

import data.stagewarden.main
import data.stagewarden.testing

reading(fields) := testing.registering({"workflows": {"newsletter": {"scope": {"fields": {"read": fields}}}}})

judged(question, fields) := verdict if {
	verdict := main.verdict with input as question with data.registry as reading(fields)
}

test_w8_a_profile_is_reduced_to_the_fields_of_the_workflow if {
	verdict := judged(testing.drafting({}), ["name", "/contact/city"])
	verdict.effect == "allow"
	verdict.obligations.response_fields == ["/contact/city", "name"]
}

test_w8_a_workflow_that_bounds_nothing if {
	judged(testing.drafting({}), []).obligations.response_fields == null
}

test_w8_publish_and_contact_sync_stay_denied[name] if {
	some name, changes in {
		"publish": {"action": {"kind": "post.launch", "stage": "export"}},
		"contact sync": {"action": {"kind": "contact.sync"}},
	}
	judged(testing.drafting(changes), ["name"]).effect == "deny"
}

test_w8_people_release_with_the_bound if {
	verdict := judged(testing.sharing(testing.approved_by([["rita", "reviewer"]])), ["name"])
	verdict.effect == "allow"
	verdict.obligations.response_fields == ["name"]
}

test_nobodys_workflow_bounds_nothing_and_is_denied if {
	verdict := judged(testing.drafting({"principal": {"workflow": "elsewhere"}}), ["name"])
	[verdict.effect, verdict.obligations.response_fields] == ["deny", null]
}
