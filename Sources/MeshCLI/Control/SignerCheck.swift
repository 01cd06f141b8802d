internal import MeshAPI

/// `apus check` for an issuer that the controller has signed elsewhere. Its life is the signer's choice, days perhaps, so the warnings
/// count from the moment when the next issuer was due.
enum SignerCheck {
  static let name = "the signer renews the issuer"
  /// Time that a renewal may take without being worth a word.
  static let grace: Int64 = 600

  static func item(_ renewal: Apus_V1_IssuerRenewal, issuerEnds end: Int64, now: Int64) -> CheckItem {
    let left = end - now
    let rest = left <= 0 ? "the issuer has expired" : "the issuer in force has \(Format.duration(seconds: left)) left"
    let isLate = renewal.due > 0 && now > renewal.due + grace
    guard renewal.failures > 0 || isLate || left <= 0 else {
      let time = renewal.due <= now ? "now" : "in \(Format.duration(seconds: renewal.due - now))"
      return CheckItem("control plane", name, .ok, "\(rest), the next one comes \(time) from \(renewal.signer)")
    }
    let problem =
      renewal.failures > 0
      ? "\(renewal.failures) attempt\(renewal.failures == 1 ? "" : "s") failed: \(renewal.problem)" : "it is late"
    return CheckItem(
      "control plane", name, result(left, end - renewal.due), "\(rest); \(problem)",
      hint: urgency(left)
        + "see apus identity status; try again: apus identity rotate --issuer; by hand: apus identity csr")
  }

  /// Ten days are an error, as for other issuers; of a short life, half of what follows the moment of renewal.
  private static func result(_ left: Int64, _ margin: Int64) -> Mark {
    left < min(CheckList.rootErrorDays * 86_400, max(0, margin / 2)) || left <= 0 ? .error : .warning
  }

  private static func urgency(_ left: Int64) -> String {
    left < CheckList.rootUrgentDays * 86_400 ? "now, " : "soon, "
  }
}
