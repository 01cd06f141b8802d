import MeshCore
import MeshPolicy
import MeshResources
import SwiftASN1
import X509

/// Finds the certificates of the authorities that policies name.
struct AuthorityResolver {
  /// Why one of them cannot be used.
  struct Finding: Hashable {
    /// A literal of the Gateway API's condition `ResolvedRefs`.
    enum Reason: String {
      case invalidRef = "InvalidCACertificateRef"
      case invalidKind = "InvalidKind"
    }

    var reason: Reason
    /// Below the object's validation: `caCertificateRefs[0]`.
    var field: String
    var message: String
    var fix = ""

    /// For a condition.
    var text: String { fix.isEmpty ? message : "\(message); \(fix)" }
  }

  private var maps: [ServiceName: ConfigMap] = [:]

  init(_ snapshot: Snapshot) {
    for located in snapshot.manifests.values {
      guard case .configMap(let map) = located.value else { continue }
      maps[ServiceName(name: map.metadata.name, namespace: map.metadata.namespace)] = map
    }
  }

  /// What can be used of the authorities, and what cannot. Without any nobody is trusted.
  func resolve(_ authorities: TLSValidation.Authorities, namespace: String) -> (TLSOrigination.Trust, [Finding]) {
    switch authorities {
    case .system: return (.system, [])
    case .inline(let pem):
      guard let problem = Self.problem(pem) else { return (.authorities(pem), []) }
      return (.nobody, [Finding(reason: .invalidRef, field: "caCertificates", message: problem)])
    case .refs(let refs):
      var texts: [String] = []
      var findings: [Finding] = []
      for (index, ref) in refs.enumerated() {
        switch find(ref, namespace, "caCertificateRefs[\(index)]") {
        case .success(let pem): texts.append(pem)
        case .failure(let finding): findings.append(finding.value)
        }
      }
      return (texts.isEmpty ? .nobody : .authorities(texts.joined(separator: "\n")), findings)
    }
  }

  private struct Failure: Error { var value: Finding }

  private func find(
    _ ref: TLSValidation.AuthorityRef, _ namespace: String, _ field: String
  ) -> Result<String, Failure> {
    func failure(_ reason: Finding.Reason, _ message: String, _ fix: String) -> Result<String, Failure> {
      .failure(Failure(value: Finding(reason: reason, field: field, message: message, fix: fix)))
    }
    guard ref.group.isEmpty, ref.kind == "ConfigMap" else {
      let kind = ref.group.isEmpty ? ref.kind : "\(ref.group)/\(ref.kind)"
      return failure(.invalidKind, "the kind \(kind) holds no authorities", "write group: \"\" and kind: ConfigMap")
    }
    guard let map = maps[ServiceName(name: ref.name, namespace: namespace)] else {
      return failure(.invalidRef, "there is no ConfigMap \(namespace)/\(ref.name)", "create it, or correct the name")
    }
    guard let pem = map.authorities else {
      return failure(
        .invalidRef, "the ConfigMap \(namespace)/\(ref.name) has no key \(ConfigMap.authorityKey)",
        "write the certificates there, as PEM")
    }
    if let problem = Self.problem(pem) {
      return failure(.invalidRef, "\(ConfigMap.authorityKey) of the ConfigMap \(namespace)/\(ref.name): \(problem)", "")
    }
    return .success(pem)
  }

  /// Nil for text that holds certificates, and nothing that is none.
  private static func problem(_ pem: String) -> String? {
    guard pem.utf8.count <= TLSOriginationLimits.authorityBytes else {
      return "has more than \(TLSOriginationLimits.authorityBytes) bytes"
    }
    do {
      let documents = try PEMDocument.parseMultiple(pemString: pem)
      if documents.isEmpty { return "holds no PEM certificate" }
      for document in documents { _ = try Certificate(pemDocument: document) }
      return nil
    } catch {
      return "holds what is no PEM certificate"
    }
  }
}
