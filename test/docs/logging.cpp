/* What surrounds fragments with `<!-- example: fragment logging -->`: two texts
 * are at hand. */
#include <iostream>

#include <phos/phos.hpp>

int main()
{
    const std::string prompt = "How tall is K2?", answer = "8,611 m.";

    /* EXAMPLE */
    return client.stats().ledger.delivered == 1 ? 0 : 1;
}
