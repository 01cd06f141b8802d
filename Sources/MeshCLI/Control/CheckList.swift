package import MeshAPI

/// One line of `apus check`.
package struct CheckItem: Encodable, Hashable, Sendable {
  package var section: String
  package var name: String
  package var result: Mark
  /// What was found; empty when the name says it all.
  package var detail: String
  package var hint: String?

  package init(_ section: String, _ name: String, _ result: Mark, _ detail: String = "", hint: String? = nil) {
    self.section = section
    self.name = name
    self.result = result
    self.detail = detail
    self.hint = hint
  }
}

/// What `apus check` found out by touching things, apart from what the controller says.
package struct CheckProbes: Sendable {
  /// Permission bits; nil when the file does not exist.
  package var stateDirectoryMode: UInt16?
  /// Of all keys of the authority together.
  package var keyMode: UInt16?
  /// Of workloads: whether the mesh port accepts connections.
  package var meshPorts: [String: Bool] = [:]
  /// Of workloads: who has called them in plaintext.
  package var plaintext: [String: PlaintextReport] = [:]
  /// Of workloads: how their proxies stand with the keys that they verify tokens with.
  package var keySets: [String: KeySetReport] = [:]

  package init(
    stateDirectoryMode: UInt16? = nil, keyMode: UInt16? = nil, meshPorts: [String: Bool] = [:],
    plaintext: [String: PlaintextReport] = [:], keySets: [String: KeySetReport] = [:]
  ) {
    self.keySets = keySets
    self.plaintext = plaintext
    self.stateDirectoryMode = stateDirectoryMode
    self.keyMode = keyMode
    self.meshPorts = meshPorts
  }
}

/// The checks themselves. Pure: the same findings give the same list.
package enum CheckList {
  /// Days of validity the root must have left to pass, to pass with a warning, and to pass with a loud one.
  package static let rootWarningDays: Int64 = 60
  package static let rootUrgentDays: Int64 = 30
  package static let rootErrorDays: Int64 = 10
  /// A proxy renews at half life; less than this means that renewal fails.
  package static let certificateWarningSeconds: Int64 = 4 * 3600

  package static func files(_ directory: StateDirectory, _ probes: CheckProbes) -> [CheckItem] {
    let section = "state"
    guard let mode = probes.stateDirectoryMode else {
      return [
        CheckItem(section, "state directory exists", .error, directory.path, hint: "start the mesh: apus up -f DIR")
      ]
    }
    var items = [CheckItem(section, "state directory exists", .ok, directory.path)]
    items.append(
      mode & 0o022 == 0
        ? CheckItem(section, "only the owner writes the state directory", .ok)
        : CheckItem(
          section, "only the owner writes the state directory", .error, "mode \(octal(mode))",
          hint: "chmod 700 \(directory.path)"))
    if let key = probes.keyMode {
      items.append(
        key & 0o077 == 0
          ? CheckItem(section, "only the owner reads the authority's keys", .ok)
          : CheckItem(
            section, "only the owner reads the authority's keys", .error, "mode \(octal(key))",
            hint:
              "chmod 600 \(directory.authority)/*.key.pem, and rotate the root if others may have read them: apus identity rotate --root"
          ))
    }
    return items
  }

  package static func unreachable(_ failure: CLIFailure) -> [CheckItem] {
    [CheckItem("control plane", "answers on its socket", .error, failure.message, hint: failure.fix)]
  }

  package static func mesh(_ status: Apus_V1_StatusResponse, _ probes: CheckProbes, now: Int64) -> [CheckItem] {
    [CheckItem("control plane", "answers on its socket", .ok, "version \(status.version)")]
      + [authority("root", status.rootNotAfter - now, hint: "rotate it: apus identity rotate --root")]
      + issuer(status, now: now) + manifests(status)
      + status.workloads.sorted { $0.name < $1.name }.flatMap { workload($0, probes, now: now) }
      + status.workloads.sorted { $0.name < $1.name }.flatMap { w in
        probes.plaintext[w.name].map { plaintext($0, "workload \(w.name)", status.workloads, now: now) } ?? []
      } + strictness(probes.plaintext, now: now)
  }

  private static func issuer(_ status: Apus_V1_StatusResponse, now: Int64) -> [CheckItem] {
    guard status.issuerNotAfter > 0 else {
      return [
        CheckItem(
          "control plane", "root and issuer are separate", .warning, "the root signs workloads' certificates itself",
          hint: "an earlier version made it; replace it while traffic goes on: apus identity rotate --root")
      ]
    }
    if !status.issuerRenewal.signer.isEmpty {
      return [SignerCheck.item(status.issuerRenewal, issuerEnds: status.issuerNotAfter, now: now)]
    }
    let hint =
      status.issuerMadeElsewhere
      ? "pass the next one: apus identity rotate --certificate CHAIN.pem --key KEY.pem"
      : "it should have been renewed by itself; rotate it: apus identity rotate --issuer"
    return [authority("issuer", status.issuerNotAfter - now, hint: hint)]
  }

  private static func authority(_ role: String, _ left: Int64, hint: String) -> CheckItem {
    let name = "\(role) certificate is valid for \(rootWarningDays) days"
    let text = left <= 0 ? "expired" : "\(Format.duration(seconds: left)) left"
    let result: Mark =
      left < rootErrorDays * 86_400 ? .error : left < rootWarningDays * 86_400 ? .warning : .ok
    let urgency = left < rootUrgentDays * 86_400 ? "now, " : "soon, "
    return CheckItem("control plane", name, result, text, hint: result == .ok ? nil : urgency + hint)
  }

  private static func manifests(_ status: Apus_V1_StatusResponse) -> [CheckItem] {
    guard !status.errors.isEmpty else {
      return [CheckItem("manifests", "all manifests are valid", .ok, status.manifestDirectory)]
    }
    return status.errors.map { error in
      CheckItem(
        "manifests", "\(error.file):\(error.line):\(error.column)", error.warning ? .warning : .error,
        [error.object, error.field, error.message].filter { !$0.isEmpty }.joined(separator: ": ")
          + (error.stale ? " (the last good version stays in force)" : ""),
        hint: error.fix.isEmpty ? nil : error.fix)
    }
  }

  private static func workload(_ w: Apus_V1_WorkloadStatus, _ probes: CheckProbes, now: Int64) -> [CheckItem] {
    let section = "workload \(w.name)"
    var items: [CheckItem] = []
    items.append(
      w.connected
        ? CheckItem(section, "proxy is connected to the control plane", .ok)
        : CheckItem(
          section, "proxy is connected to the control plane", .error,
          hint: "read the messages of its apus run (process \(w.processID)); it serves its last configuration"))
    if !w.rejected.isEmpty {
      items.append(
        CheckItem(
          section, "configuration is in sync", .error, "rejected: \(w.rejected)", hint: "apus status shows more"))
    } else if w.connected {
      items.append(
        w.sentVersion == w.ackedVersion
          ? CheckItem(section, "configuration is in sync", .ok, "version \(w.ackedVersion)")
          : CheckItem(
            section, "configuration is in sync", .warning, "sent \(w.sentVersion), acknowledged \(w.ackedVersion)",
            hint: "run apus check again; if it stays, the proxy hangs"))
    }
    items.append(certificate(w, section, now: now))
    if let open = probes.meshPorts[w.name] {
      items.append(
        open
          ? CheckItem(section, "mesh port accepts connections", .ok, "\(w.address):\(RunPlan.meshPort)")
          : CheckItem(
            section, "mesh port accepts connections", .error, "\(w.address):\(RunPlan.meshPort)",
            hint: "is its proxy running? ss -ltnp src \(w.address)"))
    }
    if !w.ready {
      items.append(
        CheckItem(
          section, "takes traffic", .warning, "not ready",
          hint: w.ports.first.map { "does the program accept connections on port \($0)?" } ?? "has it started?"))
    }
    return items + (probes.keySets[w.name].map { keySets($0, section, now: now) } ?? [])
  }

  private static func certificate(_ w: Apus_V1_WorkloadStatus, _ section: String, now: Int64) -> CheckItem {
    let name = "certificate is valid"
    let left = w.certificateNotAfter - now
    if w.certificateNotAfter == 0 {
      return CheckItem(section, name, .error, "none was issued yet", hint: "read the messages of its apus run")
    }
    if left <= 0 {
      return CheckItem(section, name, .error, "expired", hint: "is the control plane reachable for the proxy?")
    }
    let detail = "\(Format.duration(seconds: left)) left"
    guard left < certificateWarningSeconds else { return CheckItem(section, name, .ok, detail) }
    return CheckItem(section, name, .warning, detail, hint: "renewal is late; read the messages of its apus run")
  }

  // MARK: - Text

  package static func render(_ items: [CheckItem], color: Bool) -> String {
    var text = ""
    var section = ""
    for item in items {
      if item.section != section {
        text += "\(section.isEmpty ? "" : "\n")\(item.section)\n"
        section = item.section
      }
      text += "\(item.result.text(color: color)) \(item.name)\(item.detail.isEmpty ? "" : ": \(item.detail)")\n"
      if let hint = item.hint { text += "    hint: \(hint)\n" }
    }
    let verdict = items.map(\.result).contains(.error) ? Mark.error : .ok
    return text + "\nresult: \(verdict.text(color: color))\n"
  }

  private static func octal(_ mode: UInt16) -> String { "0" + String(mode & 0o7777, radix: 8) }
}
