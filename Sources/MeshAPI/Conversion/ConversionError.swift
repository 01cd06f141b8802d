import MeshCore
import MeshPolicy

/// A message whose meaning is outside the contract: which field, and what is wrong with it. The proxy rejects the
/// one resource with this text and keeps the version that it has.
package struct ConversionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Path of the field, as `rules[3].backends[0].service`.
  package var field: String
  package var problem: String

  package init(field: String, problem: String) {
    self.field = field
    self.problem = problem
  }

  package var description: String { "\(field): \(problem)" }

  /// The same error seen from the message that holds the field's message.
  func inside(_ parent: String) -> ConversionError {
    ConversionError(field: field.isEmpty ? parent : "\(parent).\(field)", problem: problem)
  }
}

/// Limits on what one resource may carry; past any of them it is rejected whole. They stand far above what the
/// compiler makes and keep a faulty or hostile controller from filling a proxy's memory.
package struct ConversionLimits: Sendable {
  package var maximumRules = 10_000
  package var maximumEndpoints = 100_000
  /// Matches, filters, or backends of one rule.
  package var maximumRuleParts = 1_024
  /// Header conditions of one match, header changes of one filter, labels of one endpoint.
  package var maximumPairs = 128
  package var maximumInboundPorts = 1_024
  package var maximumStringBytes = 4_096
  package var maximumAnchorsBytes = 1_048_576
  package var maximumRevocationLists = 16
  package var maximumRevocationListBytes = 1_048_576
  /// Identities, and serial numbers, that a trust bundle denies.
  package var maximumDenied = 10_000
  package var maximumExternalHosts = 10_000
  package var maximumAuthorizationPolicies = 1_024
  package var maximumEgressRules = 1_024

  package static let standard = ConversionLimits()

  package init() {}
}

extension ConversionLimits {
  func check(_ count: Int, atMost maximum: Int, _ field: String) throws(ConversionError) {
    guard count <= maximum else {
      throw ConversionError(field: field, problem: "\(count) elements, at most \(maximum) are allowed")
    }
  }

  func check(_ text: String, _ field: String, allowEmpty: Bool = false) throws(ConversionError) {
    guard allowEmpty || !text.isEmpty else { throw ConversionError(field: field, problem: "empty") }
    guard text.utf8.count <= maximumStringBytes else {
      throw ConversionError(
        field: field, problem: "\(text.utf8.count) bytes, at most \(maximumStringBytes) are allowed")
    }
  }
}

/// Converts each element, prefixing errors with `field[index]`.
func convertEach<Element, Result>(
  _ elements: [Element], _ field: String,
  _ convert: (Element) throws(ConversionError) -> Result
) throws(ConversionError) -> [Result] {
  var results: [Result] = []
  results.reserveCapacity(elements.count)
  for (index, element) in elements.enumerated() {
    do throws(ConversionError) {
      results.append(try convert(element))
    } catch {
      throw error.inside("\(field)[\(index)]")
    }
  }
  return results
}

/// A port number of the wire, where ports are 32 bits wide.
func convertPort(_ port: UInt32, _ field: String) throws(ConversionError) -> UInt16 {
  guard let number = UInt16(exactly: port), number > 0 else {
    throw ConversionError(field: field, problem: "\(port) is no port: 1 to 65535")
  }
  return number
}

/// The status a rule or share answers by itself; 0 on the wire means none.
func convertFailureStatus(_ status: UInt32) throws(ConversionError) -> UInt16? {
  if status == 0 { return nil }
  guard let number = UInt16(exactly: status), (200...599).contains(number) else {
    throw ConversionError(field: "failure_status", problem: "\(status) is no final status: 200 to 599")
  }
  return number
}

/// A time of the wire in milliseconds; 0 means none. At most a year, which the timer wheel can hold.
func convertTimeSpan(_ milliseconds: Int64, _ field: String) throws(ConversionError) -> TimeSpan? {
  guard (0...31_536_000_000).contains(milliseconds) else {
    throw ConversionError(field: field, problem: "\(milliseconds) is not within 0 and a year")
  }
  return milliseconds == 0 ? nil : .milliseconds(milliseconds)
}

extension TimeSpan {
  /// For the wire, rounded up: a short time must not become none.
  var wireMilliseconds: Int64 { nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1) }
}

func convertAppProtocol(_ name: String) throws(ConversionError) -> AppProtocol {
  guard let value = AppProtocol(rawValue: name) else {
    throw ConversionError(field: "app_protocol", problem: "\"\(name)\" is not one of http, http2, grpc, tcp")
  }
  return value
}

func convertServicePort(_ text: String, _ field: String) throws(ConversionError) -> ServicePort {
  guard text.utf8.count <= 512, let key = ServicePort(text) else {
    throw ConversionError(field: field, problem: "\"\(text.prefix(512))\" is not NAME.NAMESPACE:PORT")
  }
  return key
}

func convertIdentity(_ text: String, _ field: String) throws(ConversionError) -> SPIFFEID {
  guard let identity = SPIFFEID(text) else {
    throw ConversionError(
      field: field, problem: "\"\(text.prefix(512))\" is not spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
  }
  return identity
}
