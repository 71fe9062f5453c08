/// What a crawler has to understand: rules of robots, links of pages, and addresses that links lead to.
///
/// Its one difficulty is that all of it is written by strangers: everything is bounded, nothing is an error, and
/// what cannot be understood is passed over.
///
/// ```swift
/// let rules = RobotRules(text, for: "martlet")
/// let page = PageScan(body)
/// for link in page.links { if let next = address.resolving(link), rules.allow(next.target) { … } }
/// ```
