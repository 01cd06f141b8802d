internal import Foundation
package import MeshAPI

/// What `apus identity status` and `rotate` print. Times are Unix seconds or milliseconds, as their names say.
package struct AuthorityReport: Encodable, Hashable, Sendable {
  package struct Certificate: Encodable, Hashable, Sendable {
    package var subject: String
    package var keyID: String
    package var notAfter: Int64
    package var secondsLeft: Int64
  }

  package struct Rotation: Encodable, Hashable, Sendable {
    package var kind: String
    package var phase: String
    package var from: String
    package var to: String
    package var startedMs: Int64
    package var phaseSinceMs: Int64
    package var paused: Bool
    package var blockers: [String]
  }

  package struct Workload: Encodable, Hashable, Sendable {
    package var name: String
    package var connected: Bool
    package var trusts: Bool
    package var holds: Bool
  }

  /// Who renews the issuer, and when.
  package struct Renewal: Encodable, Hashable, Sendable {
    /// Where requests for issuers go; nil: they are made here, or by hand.
    package var signer: String?
    /// 0: at once; nil: not by itself.
    package var due: Int64?
    package var failures: UInt32
    /// Of the last failure; nil: there was none since the last success.
    package var problem: String?
    package var failingSince: Int64?
    package var nextTry: Int64?
  }

  package var anchors: [Certificate]
  package var issuer: [Certificate]
  package var signer: String
  package var source: String
  package var rootKeyPresent: Bool
  package var renewal: Renewal
  package var nowSeconds: Int64
  /// Nil: none is under way.
  package var rotation: Rotation?
  package var deniedIdentities: [String]
  package var deniedSerials: [String]
  package var revocationLists: UInt32
  package var workloads: [Workload]

  package init(_ response: Apus_V1_AuthorityResponse) {
    let now = response.nowMs / 1000
    func certificate(_ c: Apus_V1_AuthorityCertificate) -> Certificate {
      Certificate(subject: c.subject, keyID: c.keyID, notAfter: c.notAfter, secondsLeft: c.notAfter - now)
    }
    anchors = response.anchors.map(certificate)
    issuer = response.issuer.map(certificate)
    signer = response.signer
    source = response.source
    rootKeyPresent = response.rootKeyPresent
    renewal = Renewal(response.renewal)
    nowSeconds = now
    rotation = response.hasRotation ? Rotation(response.rotation) : nil
    deniedIdentities = response.deniedIdentities
    deniedSerials = response.deniedSerials
    revocationLists = response.crls
    workloads = response.workloads.map {
      Workload(name: $0.name, connected: $0.connected, trusts: $0.trusts, holds: $0.holds)
    }
  }

  // MARK: - Text

  package func render() -> String {
    var text = ""
    for anchor in anchors { text += Self.line("root", anchor) }
    if issuer.isEmpty { text += "issuer    the root signs workloads' certificates itself\n" }
    for certificate in issuer { text += Self.line("issuer", certificate) }
    text += "source    \(source)\(rootKeyPresent ? "" : "; the root's key is not here")\n"
    text += "renewal   \(renewal.render(now: nowSeconds))\n"
    text += "revoked   \(revoked)\n"
    return text + (rotation.map { "\n" + render($0) } ?? "rotation  none\n")
  }

  private static func line(_ role: String, _ c: Certificate) -> String {
    let left = c.secondsLeft > 0 ? "\(Format.duration(seconds: c.secondsLeft)) left" : "EXPIRED"
    return "\(role)\(String(repeating: " ", count: 10 - role.count))\(c.subject)  (\(left))\n"
  }

  private var revoked: String {
    let parts = [
      (deniedIdentities.count, "identities"), (deniedSerials.count, "serial numbers"), (Int(revocationLists), "lists"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    let names = (deniedIdentities + deniedSerials).map { "\n          \($0)" }.joined()
    return parts.isEmpty ? "nothing" : parts.joined(separator: ", ") + names
  }

  /// How many have done what the step needs, who has not, and what comes then.
  package func render(_ rotation: Rotation) -> String {
    let trusting = workloads.count { $0.connected && $0.trusts }
    let holding = workloads.count { $0.connected && $0.holds }
    var text = "rotation  of the \(rotation.kind): \(rotation.phase)\n"
    if rotation.kind == "root" {
      text +=
        "  \(rotation.phase == "retire" ? "dropped the old root   " : "trust the roots of now ") \(trusting)/\(workloads.count)\n"
    }
    text += "  hold a leaf of \(signer.prefix(8)) \(holding)/\(workloads.count)\n"
    if !rotation.blockers.isEmpty {
      text +=
        "  waits for \(rotation.blockers.prefix(8).joined(separator: ", "))"
        + (rotation.blockers.count > 8 ? " and \(rotation.blockers.count - 8) more" : "") + "\n"
    } else if rotation.paused {
      text += "  may go on: apus identity rotate --continue\n"
    }
    return text + "  then      \(Self.next(rotation))\n"
  }

  private static func next(_ rotation: Rotation) -> String {
    switch rotation.phase {
    case "trust": "the new issuer signs, and workloads get new certificates"
    case "reissue" where rotation.kind == "root": "the old root is dropped"
    default: "done"
    }
  }
}

extension AuthorityReport.Renewal {
  package init(_ renewal: Apus_V1_IssuerRenewal) {
    signer = renewal.signer.isEmpty ? nil : renewal.signer
    due = renewal.hasDue ? renewal.due : nil
    failures = renewal.failures
    problem = renewal.failures > 0 ? renewal.problem : nil
    failingSince = renewal.failures > 0 ? renewal.failingSince : nil
    nextTry = renewal.failures > 0 ? renewal.nextTry : nil
  }

  func render(now: Int64) -> String {
    let by = signer.map { " by \($0)" } ?? ""
    let time = due.map { $0 <= now ? "due now" : "in \(Format.duration(seconds: $0 - now))" }
    let trouble = problem.map { problem in
      let next = max(0, (nextTry ?? now) - now)
      return
        "\n          FAILING for \(Format.duration(seconds: now - (failingSince ?? now))), \(failures) attempt\(failures == 1 ? "" : "s"); next one in "
        + "\(Format.duration(seconds: next)): \(problem)"
    }
    return (time.map { $0 + by } ?? "by hand: apus identity rotate") + (trouble ?? "")
  }
}

extension AuthorityReport.Rotation {
  fileprivate init(_ rotation: Apus_V1_AuthorityRotation) {
    self.init(
      kind: rotation.root ? "root" : "issuer", phase: rotation.phase, from: rotation.from, to: rotation.to,
      startedMs: rotation.startedMs, phaseSinceMs: rotation.phaseSinceMs, paused: rotation.paused,
      blockers: rotation.blockers)
  }
}
