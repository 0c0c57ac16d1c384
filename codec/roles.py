"""The three admin roles, as Django groups. None of them lets anyone decode: that takes a grant.

A key custodian creates namespaces and acts on keys; a grant approver gives and revokes grants; an auditor reads.
"""

LOOK_AROUND = {"view_namespace", "view_keyversion", "view_grant", "view_user"}

ROLES = {
    "key custodian": LOOK_AROUND | {"add_namespace", "change_namespace", "change_keyversion"},
    "grant approver": LOOK_AROUND | {"add_grant", "change_grant"},
    "auditor": LOOK_AROUND | {"view_auditrecord"},
}
