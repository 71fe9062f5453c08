/// What the edge tells about itself: metrics, access records and log lines, as values and bytes.
///
/// There is no I/O here. A loop counts in its own ``CounterTable`` and writes lines into its own
/// ``LogBuffer``; readers sum the tables, and a writer thread takes the buffers.
///
/// The one difficulty is that the request path pays for all of it: a cell has one writer, so counting
/// is a load and a store without a locked instruction, and a line is written with no allocation, in
/// pieces of sixteen bytes that are checked and copied at once (``TextBuffer``).
///
/// ```swift
/// let requests = MetricFamily(
///   .counter, "martlet_requests_total", "Requests that were answered.", labels: ["server"])
/// var builder = MetricLayout.Builder()
/// let counter = builder.counter(requests, ["shop.example"])
/// let layout = try builder.finished()
/// let table = CounterTable(layout)     // one for each loop
/// table.add(1, to: counter)            // on its loop
/// var text = PrometheusText()
/// text.append(layout, from: [table])   // anywhere
/// ```
