/// Every file that may break a rule, with the reason.
///
/// One line each, sorted by rule and path. A test fails when an entry is no longer needed.
let allowances: [Allowance] = []
