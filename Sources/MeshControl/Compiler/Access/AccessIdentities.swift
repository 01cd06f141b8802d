import MeshCore
import MeshResources

/// Who the subjects of TrafficTargets are: accounts by name, and IdentityBindings with their schemes.
struct AccessIdentities {
  private let trustDomain: String
  private let bindings: [ResourceKey: IdentityBinding]
  private let workloads: [EffectiveWorkload]

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    trustDomain = snapshot.trustDomain
    workloads = table.workloads
    bindings = snapshot.manifests.compactMapValues { located in
      if case .identityBinding(let binding) = located.value { binding } else { nil }
    }
  }

  /// Nil for an account, and for a binding that does not exist.
  func binding(_ subject: TrafficTarget.Subject) -> IdentityBinding? {
    bindings[
      ResourceKey(
        group: "access.smi-spec.io", kind: "IdentityBinding", namespace: subject.namespace, name: subject.name)]
  }

  func exists(_ subject: TrafficTarget.Subject) -> Bool {
    subject.kind == .serviceAccount || binding(subject) != nil
  }

  /// What callers of the subject prove. Labels are no proof: an account counts where all its workloads are selected.
  func principals(of subject: TrafficTarget.Subject) -> [String] {
    guard subject.kind == .identityBinding else { return [account(subject.name, subject.namespace)] }
    guard let binding = binding(subject) else { return [] }
    let selected = selection(of: binding)
    return Set(binding.identities + named(by: binding) + selected.whole).sorted()
  }

  /// Whether a workload is one of the subject's.
  func includes(_ workload: RegisteredWorkload, in subject: TrafficTarget.Subject) -> Bool {
    let identity = workload.identity.description
    guard subject.kind == .identityBinding else { return identity == account(subject.name, subject.namespace) }
    // Its namespace bounds what a binding can name.
    guard let binding = binding(subject), workload.namespace == subject.namespace else { return false }
    if binding.identities.contains(identity) || named(by: binding).contains(identity) { return true }
    let effective = EffectiveWorkload(workload)
    return binding.selectors.contains { effective.isSelected(by: $0) }
  }

  /// Accounts of which a binding selects some workloads and not all.
  func divided(by binding: IdentityBinding) -> [String] { selection(of: binding).divided }

  private func named(by binding: IdentityBinding) -> [String] {
    binding.serviceAccount.map { [account($0, binding.metadata.namespace)] } ?? []
  }

  private func account(_ name: String, _ namespace: String) -> String {
    SPIFFEID(trustDomain: trustDomain, namespace: namespace, serviceAccount: name).description
  }

  private func selection(of binding: IdentityBinding) -> (whole: [String], divided: [String]) {
    if binding.selectors.isEmpty { return ([], []) }
    var selected: Set<String> = []
    var left: Set<String> = []
    for workload in workloads where workload.namespace == binding.metadata.namespace {
      guard let identity = workload.identity?.description else { continue }
      if binding.selectors.contains(where: { workload.isSelected(by: $0) }) {
        selected.insert(identity)
      } else {
        left.insert(identity)
      }
    }
    return (selected.subtracting(left).sorted(), selected.intersection(left).sorted())
  }
}
