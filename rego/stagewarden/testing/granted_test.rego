# Grants, as the tests of several packages need them

package stagewarden.testing

# METADATA
# title: A grant for the restricted kind of a draft, with some members changed
granted(changes) := object.union(
	{
		"id": "g_01J0000000000000000000000A",
		"state": "active",
		"agent": "drafter-7",
		"workflow": "newsletter",
		"upstream": "cms",
		"stage": "edit",
		"kind": "post.retitle",
		"destination": "intranet",
		"asset": "*",
		"fields": ["status", "title"],
		"classes": ["internal"],
		"purpose": "news",
		"digest": "*",
		"content": "none",
		"template": false,
		"outside": [],
		"uses": 3,
		"uses_left": 2,
		"expires_ns": 1795251600000000001,
	},
	changes,
)

# METADATA
# title: A drafter retitles a draft, which takes people or a grant
# description: The W4 and W5 of governance section 4, as far as this registry has such a kind.
retitling(changes) := object.union(
	drafting({"action": {"stage": "edit", "kind": "post.retitle", "asset": {"id": "42", "state": "draft"}}}),
	changes,
)
