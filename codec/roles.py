"""The three admin roles, as Django groups. None of them lets anyone decode: that takes a grant.

A key custodian creates namespaces, says who answers requests for them, and acts on keys; a grant approver gives and
revokes grants, creates services and makes their tokens, and revokes tokens; an auditor reads, and
reviews what people read.
"""

LOOK_AROUND = {
    *("view_namespace", "view_namespacepolicy", "view_keyversion", "view_grant", "view_accessrequest"),
    *("view_user", "view_service", "view_apitoken"),
}

ROLES = {
    "key custodian": LOOK_AROUND
    | {"add_namespace", "change_namespace", "add_namespacepolicy", "change_namespacepolicy", "change_keyversion"},
    "grant approver": LOOK_AROUND | {"add_grant", "change_grant", "change_apitoken"},
    "auditor": LOOK_AROUND | {"view_auditrecord", "view_viewing", "review_viewing"},
}
