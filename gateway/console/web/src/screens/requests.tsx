import { Screen } from '../ui/parts'

export const Requests = () => <Screen title="Requests">{null}</Screen>
