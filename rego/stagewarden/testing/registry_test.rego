# A small registry, as the policy sees it
#
# Two workflows, two agents and a few destinations, each with one thing the tests need. People hold few functions, so that
# a missing seat shows.

package stagewarden.testing

registry := {
	"revision": "rev-1",
	"people": people,
	"processes": {"newsroom": {"summary": "Articles and posts", "control_owner": "olivia", "review_cycle": "quarterly"}},
	"workflows": {"newsletter": workflow, "launch": object.union(workflow, {
		"risk": {"approval_level": "high"},
		"initiators": ["olivia"],
	})},
	"agents": {
		"drafter-7": agent,
		"publisher-1": object.union(agent, {"stages": ["queue", "approve", "export"]}),
	},
	"destinations": {
		"newsroom-site": destination,
		"intranet": object.union(destination, {"channel": "internal"}),
		"archive": object.union(destination, {"channel": "internal", "capabilities": {"revoke": false}}),
		"billboard": object.union(destination, {"capabilities": {"revoke": false}}),
	},
	"tiers": {},
	"triggers": {"legal_or_price": {"patterns": [`(?i)[€$£]\s*[0-9]`, `(?i)\bguarantee`], "tier": "high"}},
}

# METADATA
# title: The registry with some members changed, deeply
registering(changes) := object.union(registry, changes)

people := {
	"olivia": person(["business", "reviewer"]),
	"rita": person(["reviewer"]),
	"max": person(["manager"]),
	"lea": person(["legal"]),
	"sam": person(["security", "technical"]),
	"petra": person(["privacy"]),
	"gone": object.union(person(["reviewer"]), {"active": false}),
}

person(functions) := {
	"functions": functions,
	"name": "",
	"identity": null,
	"aliases": [],
	"group": null,
	"active": true,
}

workflow := {
	"summary": "Drafts posts for the newsroom and asks to publish them.",
	"process": "newsroom",
	"owners": {"business": "olivia", "security": "sam", "privacy": "petra", "technical": "sam"},
	"risk": {
		"data_sensitivity": "low",
		"external_impact": "medium",
		"regulatory_exposure": "low",
		"rollback_difficulty": "low",
		"approval_level": "medium",
	},
	"purpose": "news",
	"actions": {
		"allowed": ["post.draft", "post.edit", "post.queue", "post.approve", "post.share"],
		"restricted": ["post.publish", "post.retitle"],
		"prohibited": ["contact.sync"],
	},
	"rollback": {"kind": "compensate", "steps": "", "owner": null, "rto": "", "tested_at": null},
	"initiators": [],
	"delegation": "service_account",
	"scope": {"fields": {"read": [], "write": []}, "classes": {"read": [], "write": []}},
	"approved": [],
	"automation": "now",
}

agent := {
	"identity": {"key": null, "issuer": "https://issuer.example", "subject": "drafter"},
	"owners": {"human": "olivia", "business": null, "technical": "sam", "service_account": "svc-cms"},
	"stages": ["generate", "edit"],
	"workflows": ["newsletter", "launch"],
	"connectors": [],
	"mode": "active",
}

destination := {
	"channel": "public",
	"capabilities": {"retention": true, "approval": true, "revoke": true, "rollback": true},
	"attested": {"at": "2026-06-01", "by": "sam"},
}
