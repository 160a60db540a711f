/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of all services, compared with the roles and the table of ipc/. */
#include "service/services.h"
#include "unit.h"

static const struct service *row_of(unsigned role)
{
    const struct service *found = NULL;
    for (service_list *at = services; *at != NULL; at++)
        if ((unsigned)(*at)->role == role) {
            assert_null(found);
            found = *at;
        }
    return found;
}

static void each_process_has_one_row(void **state)
{
    for (unsigned role = PROCESS_SUPERVISOR + 1; role < PROCESS_CLI; role++)
        if (row_of(role) == NULL)
            fail_msg("%s has no row in service/services.c", ipc_role_name((enum process_role)role));
}

/* Except that delivering services end before the one that records their results. */
static void whoever_asks_ends_before_whoever_answers(void **state)
{
    for (service_list *asker = services; *asker != NULL; asker++)
        for (service_list *answerer = services; *answerer != NULL; answerer++)
            if (ipc_asks((*asker)->role, (*answerer)->role) && (*answerer)->stop != STOP_DELIVERY &&
                (*asker)->stop > (*answerer)->stop)
                fail_msg("%s asks %s and ends after it", service_name(*asker), service_name(*answerer));
}

/* Memory shared by several services has a single writing service. */
static void shared_memory_has_one_service_that_writes(void **state)
{
    for (service_list *one = services; *one != NULL; one++)
        for (service_list *other = one + 1; *other != NULL; other++)
            for (size_t i = 0; i < SERVICE_SHARES_MAX * SERVICE_SHARES_MAX; i++) {
                const struct service_share *a = &(*one)->shares[i / SERVICE_SHARES_MAX],
                                           *b = &(*other)->shares[i % SERVICE_SHARES_MAX];
                if (a->memory != NULL && a->memory == b->memory && !a->reads_only && !b->reads_only)
                    fail_msg("%s and %s both write to %s", service_name(*one), service_name(*other),
                             a->memory->name);
            }
}

/* No two use the same folder or socket. */
static void folders_and_sockets_are_apart(void **state)
{
    for (service_list *one = services; *one != NULL; one++)
        for (service_list *other = one + 1; *other != NULL; other++) {
            const struct service *a = *one, *b = *other;
            assert_false(a->folder != NULL && b->folder != NULL && strcmp(a->folder, b->folder) == 0);
            assert_false(a->socket != NULL && b->socket != NULL && strcmp(a->socket, b->socket) == 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_process_has_one_row),
        cmocka_unit_test(whoever_asks_ends_before_whoever_answers),
        cmocka_unit_test(shared_memory_has_one_service_that_writes),
        cmocka_unit_test(folders_and_sockets_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
