/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentication-Results: {"field"} -> {"valid", "id", "version"?, "ignore"?, "results"}; with "our_id" as
 * well -> {"removed"}, by the filter that a header streams through, and by itself.
 */
#include "core/trust/authres_filter.h"
#include "kinds.h"

static json_t *result_json(const struct authres *authres, const struct authres_result *result)
{
    json_t *props = json_array(), *json = json_object();
    for (size_t i = 0; i < result->count; i++) {
        const struct authres_property *property = &authres->properties[result->first + i];
        json_array_append_new(props, json_pack("[o, o, o]", json_bytes(property->type),
                                               json_bytes(property->name), json_bytes(property->value)));
    }
    json_object_set_new(json, "method", json_bytes(result->method));
    json_object_set_new(json, "result", json_bytes(result->result));
    json_object_set_new(json, "props", props);
    if (result->reason.at != NULL)
        json_object_set_new(json, "reason", json_bytes(result->reason));
    if (result->version > 0)
        json_object_set_new(json, "version", json_integer(result->version));
    return json;
}

static json_t *authres_json(const struct authres *authres)
{
    json_t *results = json_array(), *json = json_object();
    for (size_t i = 0; i < authres->result_count; i++)
        json_array_append_new(results, result_json(authres, &authres->results[i]));
    json_object_set_new(json, "valid", json_true());
    json_object_set_new(json, "id", json_bytes(authres->id));
    json_object_set_new(json, "results", results);
    if (authres->version > 0)
        json_object_set_new(json, "version", json_integer(authres->version));
    if (authres->version > 1)
        json_object_set_new(json, "ignore", json_true());
    return json;
}

/* Lets a header with the field pass in pieces of one octet; true if the field is gone and nothing else. */
static bool is_removed(struct bytes field, struct bytes id)
{
    struct authres_filter filter;
    struct buffer header = {0}, out = {0};
    buffer_add_text(&header, "Subject: a\r\nAuthentication-Results: ");
    buffer_add(&header, field);
    buffer_add_text(&header, "\r\nTo: b\r\n\r\nAuthentication-Results: body\r\n");
    authres_filter_start(&filter, id);
    for (size_t i = 0; i < header.length; i++)
        authres_filter_add(&filter, bytes_of(header.at + i, 1), &out);
    authres_filter_finish(&filter, &out);
    bool kept = bytes_equal(buffer_bytes(&out), buffer_bytes(&header));
    bool removed = bytes_is(buffer_bytes(&out),
                            "Subject: a\r\nTo: b\r\n\r\nAuthentication-Results: body\r\n");
    bool fine = removed ? filter.removed == 1 : kept && filter.removed == 0;
    buffer_free(&header);
    buffer_free(&out);
    return fine ? removed : !removed; /* neither one nor the other: never what is expected */
}

json_t *judge_authres(const json_t *row, struct world *world)
{
    struct authres authres;
    struct bytes field = row_text(row, "field"), id = row_text(row, "our_id");
    if (id.length > 0)
        return json_pack("{s:b, s:b}", "removed", is_removed(field, id), "claims", authres_claims(field, id));
    if (!authres_parse(&authres, field, &world->arena))
        return json_pack("{s:b}", "valid", 0);
    return authres_json(&authres);
}
