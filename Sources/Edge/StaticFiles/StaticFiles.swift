// Files of a folder as answers to requests: which file a path means, what is to be said of it, and a
// cache that each loop has for itself.
//
// Its one difficulty is that the path comes from a stranger and the folder belongs to somebody else:
// `RelativePath` (of HTTPMessage) is the only form in which a path gets to the kernel, `FileRoot` the only one who
// hands it over, and the kernel itself sees to it that no step leaves the root (`openat2`).
//
//     let store = FileStore(FileRules(root: "/srv/www"))
//     let found = store.find("/index.html", at: loop.now, date: now)
//     if case .file(let file) = found.entry.content { … }
//
// Nothing here sends anything: who does gets a `ServedFile` with its head's fields ready.
