/* What surrounds fragments with `<!-- example: fragment service -->`: a service
 * is open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phos/phos.h>

int main(void)
{
    const char *url = getenv("PHOS_ENDPOINT");
    const char *key = getenv("PHOSPHO_API_KEY");
    phos_service_options options = phos_service_options_default();
    phos_service *service = NULL;

    if (!url || !key)
        return 2;
    options.base_url = phos_str_make(url, strlen(url));
    options.auth = PHOS_AUTH_BEARER;
    options.credential = phos_str_make(key, strlen(key));
    if (phos_service_open(&options, &service) != PHOS_OK)
        return 2;
    {
        /* EXAMPLE */
    }
    phos_service_free(service);
    return 0;
}
