import MeshCore
import MeshPolicy
import SwiftProtobuf

extension SessionPolicy {
  init(_ message: Apus_V1_Session, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      self.init(
        try Carrier(message.carrier, limits: limits),
        absoluteTimeout: try convertSeconds(message.absoluteTimeoutMs, "absolute_timeout_ms"),
        idleTimeout: try convertSeconds(message.idleTimeoutMs, "idle_timeout_ms"),
        key: SipKey(message.keyFirst, message.keySecond))
    } catch {
      throw error.inside("session")
    }
    guard case .cookie(let cookie) = carrier, cookie.isPermanent, absoluteTimeout == nil else { return }
    throw ConversionError(field: "session.absolute_timeout_ms", problem: "0, and the cookie is permanent")
  }
}

/// Tokens count whole seconds.
private func convertSeconds(_ milliseconds: Int64, _ field: String) throws(ConversionError) -> TimeSpan? {
  guard milliseconds % 1_000 == 0 else {
    throw ConversionError(field: field, problem: "\(milliseconds) are no whole seconds")
  }
  return try convertTimeSpan(milliseconds, field)
}

extension SessionPolicy.Carrier {
  init(_ message: Apus_V1_Session.OneOf_Carrier?, limits: ConversionLimits) throws(ConversionError) {
    switch message {
    case .cookie(let cookie):
      // The same syntax as that of a balancer's cookie.
      var affinity = Apus_V1_AffinityCookie()
      affinity.name = cookie.name
      affinity.path = cookie.path
      do throws(ConversionError) {
        let checked = try AffinityCookie(affinity, limits: limits)
        self = .cookie(.init(name: checked.name, path: checked.path, isPermanent: cookie.permanent))
      } catch {
        throw error.inside("cookie")
      }
    case .header(let name):
      do throws(ConversionError) { try checkHeaderName(name, limits: limits) } catch { throw error.inside("header") }
      guard name == name.lowercased() else {
        throw ConversionError(field: "header", problem: "\"\(name)\" is not in lower case")
      }
      self = .header(name)
    case nil: throw ConversionError(field: "carrier", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

extension Apus_V1_Session {
  init(_ policy: SessionPolicy) {
    self.init()
    switch policy.carrier {
    case .cookie(let own):
      cookie.name = own.name
      cookie.path = own.path
      cookie.permanent = own.isPermanent
    case .header(let name): header = name
    }
    absoluteTimeoutMs = policy.absoluteTimeout?.wireMilliseconds ?? 0
    idleTimeoutMs = policy.idleTimeout?.wireMilliseconds ?? 0
    keyFirst = policy.key.first
    keySecond = policy.key.second
  }
}
