/* What surrounds fragments with `<!-- example: fragment call -->`: a server's
 * function in which all of these are at hand. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phos/phos.h>

int main(void)
{
    phos_options options = phos_options_default();
    phos_client *client = NULL;
    phos_close_report report;
    phos_stats stats;
    phos_event event = phos_event_default();
    phos_status status = phos_client_open(&options, &client);

    if (status != PHOS_OK)
        return 2;
    event.input = PHOS_STR("How tall is K2?");
    event.output = PHOS_STR("8,611 m.");
    stats.struct_size = sizeof(stats);
    {
        /* EXAMPLE */
    }
    phos_client_close(client, 20000, &report);
    phos_client_free(client);
    return report.ledger.accepted == report.ledger.delivered ? 0 : 1;
}
