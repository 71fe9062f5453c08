import Glibc

// What programs are measured by that post: an endpoint that does as little as one can, so that it is not what is
// measured. It prints its port, and ends with whoever has started it.

let sink = Sink()
print(sink.port)
fflush(nil)
sink.run()
