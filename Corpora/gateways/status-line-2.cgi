HTTP/2.0 200 OK
Content-Type: text/plain

hello