/*
 * minimal - puts one AI interaction on record and says what became of it; the
 * C++ of minimal.c.
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     c++ minimal.cpp $(pkg-config --cflags --libs phos) -o minimal
 *     ./minimal
 */
#include <iostream>

#include <phos/phos.hpp>

int main()
{
    using std::chrono::milliseconds;
    using std::chrono::seconds;

    try {
        phos::options options; // environment: the rest
        options.on_diagnostic([](const phos_diagnostic &diagnostic) {
            std::cerr << "phos: " << diagnostic.error.text << '\n';
        });
        phos::client client{ options };
        phos::event event("How tall is K2?", "8,611 m.");

        event.model("m-1").latency(milliseconds(412));
        phos_status status = client.log(event); // copies, never waits
        if (status != PHOS_OK)
            std::cerr << phos_status_text(status) << '\n';

        phos_close_report report; // waits for the answer, at most 5 s
        client.close(seconds(5), &report);
        std::cout << report.ledger.delivered << " delivered\n";
        return report.ledger.delivered == 1 ? 0 : 1;
    } catch (const phos::error &) {
        return 1; // the diagnostic has said why
    }
}
