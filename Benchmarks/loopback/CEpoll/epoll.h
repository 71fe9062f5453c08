// The Glibc module leaves epoll out; this header alone brings it in.
#include <sys/epoll.h>
