HTTP/1.0 200 OK
Content-Type: text/plain
Content-Length: 5

hello