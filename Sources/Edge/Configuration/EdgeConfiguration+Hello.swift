extension EdgeConfiguration {
  /// What `martlet run` reads when it is given no file: the example `hello.conf`.
  public static let helloText = #"""
    # What `make run` starts: three members inside of this process, balanced.
    # Try it: curl http://localhost:8080

    server {
        listen :8080
        route / { proxy demo }
    }

    upstream demo {
        balance round_robin
        member unix:demo-1.sock
        member unix:demo-2.sock
        member unix:demo-3.sock
    }

    # The members: one server on three sockets, whose page says which of them answered.
    server {
        listen unix:demo-1.sock
        listen unix:demo-2.sock
        listen unix:demo-3.sock
        via off

        route / {
            response header set Cache-Control no-store
            response header set X-Member {listener.address}
            respond 200 """
                <!doctype html>
                <html lang="en">
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width">
                <title>Martlet</title>
                <style>
                  :root { --ink: #1d2733; --paper: #f6f4ef;
                          --one: #b5483a; --two: #2f6f5e; --three: #3b5b92; }
                  body { margin: 0; min-height: 100vh; display: grid; place-items: center;
                         font: 18px/1.5 system-ui, sans-serif;
                         color: var(--ink); background: var(--paper); }
                  main { max-width: 34rem; padding: 2rem; }
                  h1 { font-size: 2.4rem; line-height: 1.1; margin: 0 0 1rem; }
                  b { display: inline-block; padding: .1em .5em; border-radius: .3em; color: #fff;
                      background: var(--ink); }
                  [data-member$="1.sock"] b { background: var(--one); }
                  [data-member$="2.sock"] b { background: var(--two); }
                  [data-member$="3.sock"] b { background: var(--three); }
                  small { color: #66707b; }
                </style>
                <main data-member="{listener.address}">
                  <h1>Martlet is up.</h1>
                  <p>This page came from <b>{listener.address}</b></p>
                  <p>Load it again: the next member answers.</p>
                  <p><small>{time.iso8601}</small></p>
                </main>
                </html>
                """ type "text/html; charset=utf-8"
        }
    }

    """#
}
