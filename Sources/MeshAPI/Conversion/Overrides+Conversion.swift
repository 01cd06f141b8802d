import MeshPolicy
import SwiftProtobuf

// Which limits callers may set by headers of theirs. Each kind is a field of its own on the wire: kinds that a newer controller allows and
// this proxy has never heard of stay forbidden.
extension OverridePolicy {
  init(_ message: Apus_V1_Overrides, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.callers.count, atMost: limits.maximumPairs, "overrides.callers")
    for caller in message.callers { try limits.check(caller, "overrides.callers") }
    var kinds: Kinds = []
    if message.timeout { kinds.insert(.timeout) }
    if message.attemptTimeout { kinds.insert(.attemptTimeout) }
    if message.retries { kinds.insert(.retries) }
    self.init(kinds: kinds, callers: message.callers)
  }
}

extension Apus_V1_Overrides {
  init(_ policy: OverridePolicy) {
    self.init()
    timeout = policy.kinds.contains(.timeout)
    attemptTimeout = policy.kinds.contains(.attemptTimeout)
    retries = policy.kinds.contains(.retries)
    callers = policy.callers
  }
}
